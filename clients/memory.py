"""What a trainer must not forget: the updates that it signed, and what quantisation took away from each."""

import fcntl
import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from circuits.bn254 import G1Point
from clients.errors import DamagedMemory, MemoryInUse
from clients.parameters import Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class Pending:
    """A round's update as it is, or was, sent.

    Attributes:
        data: the update object's bytes, sealed: what was signed is sent, also after a restart.
        residual: float64[dim], what quantisation left of the change: it goes into the next update.
    """

    round: int
    point: G1Point
    data: bytes
    residual: Vector


class Memory:
    """A directory of one trainer and task. A second, other update of a round would be refused, so the first is kept.

    An update and its residual are one file, which appears at once: killed anywhere, either both are there or neither.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes from taking part with this directory (MemoryInUse if one does)."""
        with (self._directory / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise MemoryInUse(self._directory) from None
            yield

    def rounds(self) -> list[int]:
        """The rounds whose updates are here, ascending."""
        return sorted(int(path.stem) for path in self._directory.glob("*.update"))

    def pending(self, round: int) -> Pending | None:
        """The round's update, if it was made before.

        Raises:
            DamagedMemory: the file is not as it was written.
        """
        path = self._path(round)
        try:
            with np.load(path, allow_pickle=False) as stored:
                return Pending(
                    round=round,
                    point=G1Point.from_bytes(stored["point"].tobytes()),
                    data=stored["data"].tobytes(),
                    residual=stored["residual"],
                )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise DamagedMemory(path) from error

    def remember(self, pending: Pending) -> None:
        """Keeps a round's update; durable when this returns."""
        draft = io.BytesIO()
        point, data = (np.frombuffer(raw, dtype=np.uint8) for raw in (pending.point.to_bytes(), pending.data))
        np.savez(draft, point=point, data=data, residual=pending.residual)
        self._write(self._path(pending.round), draft.getvalue())

    def forget_before(self, round: int) -> None:
        """Removes the updates of earlier rounds. Receipts stay."""
        for number in self.rounds():
            if number < round:
                self._path(number).unlink()

    def has_receipt(self, round: int) -> bool:
        """Whether the aggregator has acknowledged the round's update."""
        return self._receipt(round).exists()

    def keep_receipt(self, round: int, receipt: bytes) -> None:
        """Keeps the aggregator's signed word, which is worth something in a dispute."""
        self._write(self._receipt(round), receipt)

    def _path(self, round: int) -> Path:
        return self._directory / f"{round}.update"

    def _receipt(self, round: int) -> Path:
        return self._directory / f"{round}.receipt"

    def _write(self, path: Path, data: bytes) -> None:
        draft = path.with_name(path.name + ".tmp")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        # The new name, too, is only there after a power failure if the directory was written.
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
