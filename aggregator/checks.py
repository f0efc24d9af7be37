"""Whether an update's bytes are one of its task, and open its commitment.

The commitment of a large update takes all cores for a good part of a second. So it is computed one at a time, in a
process of its own that the system runs when nothing more urgent is to be done: bytes that come in are.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

from aggregator.tools import off_loop
from circuits.bn254 import G1Point
from circuits.commitment import check_opening
from circuits.errors import CommitmentMismatch, FieldError
from circuits.fixedpoint import FixedPoint
from circuits.srs import Srs
from circuits.worker import Worker
from protocol.refusals import MalformedContent, OutOfRange, Refusal, WrongCommitment
from store.errors import MalformedObject, SealError
from store.objects import decode_update
from store.sealed import open_with_key

# Below, starting a process would take longer than what it is for.
_SMALL_DIM = 1 << 16
_NICE = 10


@dataclass(frozen=True, kw_only=True)
class Question:
    """Attributes:
    path: of the update's sealed bytes. key: theirs. srs_path: of the string that the commitment is under.
    """

    path: Path
    key: bytes = field(repr=False)
    dim: int
    fmt: FixedPoint
    point: G1Point
    srs_path: Path


class Checks:
    """Checks updates, one after the other."""

    def __init__(self) -> None:
        self._worker = Worker()
        self.turn = asyncio.Lock()

    async def check(self, ask: Callable[[], Question]) -> None:
        """Returns if the update is sound. Who waits for its turn, and is gone, is not checked.

        Args:
            ask: makes the question when its turn has come, in a thread; what it raises is raised.
        Raises:
            MalformedContent, OutOfRange, WrongCommitment.
            FileNotFoundError: the bytes are gone.
        """
        async with self.turn:
            question = await off_loop(ask)
            if question.dim < _SMALL_DIM:
                wrong: Exception | None = await off_loop(answer, question)
            else:
                wrong = await off_loop(self._worker.call, _answer_later, question)
        if wrong is not None:
            raise wrong

    def close(self) -> None:
        self._worker.close()


def answer(question: Question) -> Refusal | None:
    """What is wrong with an update, or None."""
    try:
        data = open_with_key(question.path.read_bytes(), question.key)
        column = decode_update(data, question.dim, question.fmt)
        check_opening(column, question.point, _srs(question.srs_path))
    except SealError as error:
        return not_sealed(error)
    except MalformedObject as error:
        return MalformedContent(str(error), field=error.field, limit=error.limit)
    except FieldError as error:
        return OutOfRange(str(error), field=error.field, limit=error.limit)
    except CommitmentMismatch:
        return WrongCommitment(
            "point: the bytes do not open this commitment", field="point", limit="the commitment of the bytes"
        )
    return None


def not_sealed(error: SealError) -> MalformedContent:
    """What is wrong with how an update is sealed."""
    return MalformedContent(
        f"content: {error}", field="content", limit="sealed for this aggregator, and this task, round and sender"
    )


def _answer_later(question: Question) -> Refusal | FileNotFoundError | None:
    """The same in the process apart, from where only a prover's errors are raised again."""
    _give_way()
    try:
        return answer(question)
    except FileNotFoundError as error:
        return error


@cache
def _give_way() -> None:
    os.nice(_NICE)


@lru_cache(maxsize=8)
def _srs(path: Path) -> Srs:
    return Srs(path)
