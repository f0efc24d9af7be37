"""A trainer's memory: whole after a kill between any two of its effects, and of one process at a time."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuits.bn254 import GENERATOR, scale
from clients.errors import DamagedMemory, MemoryInUse
from clients.memory import Memory, Pending


def pending(round: int, *, dim: int = 5) -> Pending:
    rng = np.random.default_rng(round)
    return Pending(round=round, point=scale(GENERATOR, round + 2), data=rng.bytes(100), residual=rng.normal(size=dim))


def same(a: Pending | None, b: Pending) -> bool:
    return (
        a is not None
        and (a.round, a.point, a.data) == (b.round, b.point, b.data)
        and bool((a.residual == b.residual).all())
    )


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is tidied up."""


def dying_at(number: int, *, after: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wraps calls of the operating system: the `number`-th of them all is the last thing that happens."""
    calls = 0

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number and not after:
                raise Killed
            result = call(*args, **kwargs)
            if calls == number:
                raise Killed
            return result

        return counted

    return wrap


def test_what_was_remembered_is_there_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "m")
    assert memory.pending(3) is None
    memory.remember(pending(3))
    again = Memory(tmp_path / "m")
    assert same(again.pending(3), pending(3))
    assert again.pending(4) is None
    assert again.rounds() == [3]
    assert not again.has_receipt(3)
    again.keep_receipt(3, b"word")
    assert Memory(tmp_path / "m").has_receipt(3)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_killed_while_remembering_it_is_all_there_or_not_at_all(
    number: int, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The effects are: the draft's bytes, its new name, the directory. What was there before stays in any case."""
    memory = Memory(tmp_path)
    memory.remember(pending(0))
    with monkeypatch.context() as patch:
        wrap = dying_at(number, after=after)
        patch.setattr(os, "fsync", wrap(os.fsync))
        patch.setattr(Path, "replace", wrap(Path.replace))
        with pytest.raises(Killed):
            memory.remember(pending(1))
    again = Memory(tmp_path)
    assert same(again.pending(0), pending(0))
    is_there = (number, after) >= (2, True)
    assert (again.pending(1) is not None) == is_there
    if is_there:
        assert same(again.pending(1), pending(1))
    again.remember(pending(1))
    assert same(again.pending(1), pending(1))


def test_only_earlier_rounds_are_forgotten(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for number in (0, 2, 10):
        memory.remember(pending(number))
        memory.keep_receipt(number, b"word")
    memory.forget_before(2)
    assert memory.rounds() == [2, 10]
    assert memory.has_receipt(0)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Memory(tmp_path).held(), pytest.raises(MemoryInUse) as caught, Memory(tmp_path).held():
        pass
    assert caught.value.directory == tmp_path
    with Memory(tmp_path).held():
        pass


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_damaged_file_is_said(cut: int, tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.remember(pending(0))
    path = tmp_path / "0.update"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DamagedMemory) as caught:
        memory.pending(0)
    assert caught.value.path == path


def test_no_pickle_is_ever_loaded(tmp_path: Path) -> None:
    with (tmp_path / "0.update").open("wb") as file:
        np.savez(file, point=np.array([object()]), data=np.zeros(1), residual=np.zeros(1))
    with pytest.raises(DamagedMemory):
        Memory(tmp_path).pending(0)
