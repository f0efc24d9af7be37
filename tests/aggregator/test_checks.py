"""Checks of updates, here and in a process of their own: the same answers."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from eth_account import Account

from aggregator import checks as module
from aggregator.checks import Checks, Question
from circuits.bn254 import GENERATOR
from circuits.commitment import Column, commit, draw_salts
from circuits.fixedpoint import FixedPoint
from circuits.srs import Srs
from protocol.refusals import MalformedContent, OutOfRange, Refusal, WrongCommitment
from protocol.sealing import seal_update
from store.keywrap import Receiver
from store.objects import encode_update
from store.sealed import key_of, open_with_key

FMT = FixedPoint(bits=4, fraction_bits=3)
DIM = 20
AGGREGATOR = Account.create()
CONTEXT = bytes(31) + b"\1"


@pytest.fixture
def question(srs: Srs, tmp_path: Path) -> Question:
    column = Column(values=np.arange(DIM, dtype=np.int64) % 7, salts=draw_salts(FMT))
    empty = Question(path=tmp_path / "update", key=b"", dim=DIM, fmt=FMT, point=commit(column, srs), srs_path=srs.path)
    return holding(empty, encode_update(column, FMT))


def holding(question: Question, plain: bytes) -> Question:
    """The question about these bytes, sealed anew."""
    data = seal_update(plain, Receiver.of(AGGREGATOR), CONTEXT)
    question.path.write_bytes(data)
    return replace(question, key=key_of(data, AGGREGATOR, context=CONTEXT))


@pytest.fixture(params=["here", "apart"])
def checks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checks]:
    if request.param == "apart":
        monkeypatch.setattr(module, "_SMALL_DIM", 0)
    checking = Checks()
    yield checking
    checking.close()


async def refused(checks: Checks, question: Question) -> type[Refusal] | None:
    try:
        await checks.check(lambda: question)
    except Refusal as refusal:
        return type(refusal)
    return None


async def test_only_the_update_itself_passes(checks: Checks, question: Question) -> None:
    plain = open_with_key(question.path.read_bytes(), question.key)
    assert await refused(checks, question) is None
    assert await refused(checks, replace(question, point=GENERATOR)) is WrongCommitment
    assert await refused(checks, replace(question, dim=DIM + 1)) is MalformedContent
    assert await refused(checks, holding(question, plain[:-1] + bytes([FMT.highest + 1]))) is OutOfRange
    assert await refused(checks, holding(question, plain[:-1] + bytes([plain[-1] ^ 1]))) is WrongCommitment
    assert await refused(checks, holding(question, plain)) is None


async def test_what_is_not_sealed_under_the_key_is_refused(checks: Checks, question: Question) -> None:
    assert await refused(checks, replace(question, key=flipped(question.key))) is MalformedContent
    question.path.write_bytes(flipped(question.path.read_bytes()))
    assert await refused(checks, question) is MalformedContent
    question.path.write_bytes(b"short")
    assert await refused(checks, question) is MalformedContent


def flipped(data: bytes) -> bytes:
    """With another last bit."""
    return data[:-1] + bytes([data[-1] ^ 1])


async def test_a_large_check_gives_way_to_what_is_urgent(checks: Checks, question: Question) -> None:
    await checks.check(lambda: question)
    process = checks._worker._process
    if process is not None:
        assert os.getpriority(os.PRIO_PROCESS, process.pid or 0) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)


async def test_bytes_that_are_gone_are_not_an_answer(checks: Checks, question: Question) -> None:
    question.path.unlink()
    with pytest.raises(FileNotFoundError):
        await checks.check(lambda: question)
