"""Checks of updates, here and in a process of their own: the same answers."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aggregator import checks as module
from aggregator.checks import Checks, Question
from circuits.bn254 import GENERATOR
from circuits.commitment import Column, commit, draw_salts
from circuits.fixedpoint import FixedPoint
from circuits.srs import Srs
from protocol.refusals import MalformedContent, OutOfRange, Refusal, WrongCommitment
from store.objects import encode_update

FMT = FixedPoint(bits=4, fraction_bits=3)
DIM = 20


@pytest.fixture
def question(srs: Srs, tmp_path: Path) -> Question:
    column = Column(values=np.arange(DIM, dtype=np.int64) % 7, salts=draw_salts(FMT))
    path = tmp_path / "update"
    path.write_bytes(encode_update(column, FMT))
    return Question(path=path, dim=DIM, fmt=FMT, point=commit(column, srs), srs_path=srs.path)


@pytest.fixture(params=["here", "apart"])
def checks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checks]:
    if request.param == "apart":
        monkeypatch.setattr(module, "_SMALL_DIM", 0)
    checking = Checks()
    yield checking
    checking.close()


async def refused(checks: Checks, question: Question) -> type[Refusal] | None:
    try:
        await checks.check(question)
    except Refusal as refusal:
        return type(refusal)
    return None


async def test_only_the_update_itself_passes(checks: Checks, question: Question) -> None:
    data = question.path.read_bytes()
    assert await refused(checks, question) is None
    assert await refused(checks, replace(question, point=GENERATOR)) is WrongCommitment
    assert await refused(checks, replace(question, dim=DIM + 1)) is MalformedContent
    question.path.write_bytes(data[:-1] + bytes([FMT.highest + 1]))
    assert await refused(checks, question) is OutOfRange
    question.path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert await refused(checks, question) is WrongCommitment
    question.path.write_bytes(data)
    assert await refused(checks, question) is None


async def test_a_large_check_gives_way_to_what_is_urgent(checks: Checks, question: Question) -> None:
    await checks.check(question)
    process = checks._worker._process
    if process is not None:
        assert os.getpriority(os.PRIO_PROCESS, process.pid or 0) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)


async def test_bytes_that_are_gone_are_not_an_answer(checks: Checks, question: Question) -> None:
    question.path.unlink()
    with pytest.raises(FileNotFoundError):
        await checks.check(question)
