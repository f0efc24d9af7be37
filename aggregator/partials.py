"""Uploads that are not whole yet: bytes on disk that outlive a broken connection and a restart.

A sender has one for each task: another content, or another round, takes the place of what was there. What is kept is
only worth resuming; whether it is right shows when the whole content is compared with its CID.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from eth_typing import ChecksumAddress

from protocol.refusals import InvalidChunk
from store.cid import CidBuilder, to_text
from store.errors import StorageFull

# EFBIG is how a limit on the size of files shows.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PartialKey:
    """Whose upload of what."""

    task_id: int
    round: int
    sender: ChecksumAddress
    cid: bytes


class Partials:
    """A directory of partial uploads. Calls block on the disk.

    Args:
        directory: made if it is missing.
        lifetime_seconds: what was not written to for so long is given up.
    """

    def __init__(self, directory: Path, lifetime_seconds: float) -> None:
        self._directory = directory
        self._lifetime_seconds = lifetime_seconds
        directory.mkdir(parents=True, exist_ok=True)

    def received_bytes(self, key: PartialKey) -> int:
        """How much of an upload is there."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return 0

    def open(self, key: PartialKey, offset_bytes: int | None = None) -> "Partial":
        """The upload, to be continued at an offset, or where it stopped; what lies behind it is dropped.

        Raises:
            InvalidChunk: so much is not there.
            StorageFull.
        """
        path = self._path(key)
        if (received_bytes := self.received_bytes(key)) < (offset_bytes or 0):
            raise InvalidChunk(
                f"chunk.offset_bytes: got {offset_bytes}, but {received_bytes} bytes are there",
                field="chunk.offset_bytes",
                limit=f"at most {received_bytes}",
            )
        with storage_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            for other in path.parent.iterdir():
                if other != path:
                    other.unlink(missing_ok=True)
        return Partial(path, received_bytes if offset_bytes is None else offset_bytes)

    def sweep(self, collects: Callable[[int, int], bool]) -> int:
        """Removes what has expired, and what belongs to a round that does not collect; returns how many.

        Args:
            collects: whether a task's round takes updates.
        """
        latest, removed = time.time() - self._lifetime_seconds, 0
        for path in list(self._directory.glob("*/*/*")):
            task, round, _ = path.parts[-3], path.name.partition("-")[0], path.name
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= latest or not collects(int(task), int(round)):
                    path.unlink()
                    removed += 1
        for emptied in (*self._directory.glob("*/*"), *self._directory.glob("*")):
            with suppress(OSError):  # not empty
                emptied.rmdir()
        return removed

    def _path(self, key: PartialKey) -> Path:
        return self._directory / str(key.task_id) / key.sender / f"{key.round}-{to_text(key.cid)}"


class Partial:
    """One partial upload; a context manager, which leaves its bytes where they are unless `discard` was called.

    Attributes:
        path: where they are. size_bytes: how many so far.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self._builder = CidBuilder()
        self.size_bytes = size_bytes
        with storage_errors():
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Unbuffered: chunks are large, and what was written is on its way whatever becomes of the process.
        self._file = os.fdopen(handle, "r+b", buffering=0)
        self._file.truncate(size_bytes)
        while piece := self._file.read(_READ_BYTES):
            self._builder.update(piece)

    def __enter__(self) -> "Partial":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is StorageFull:
            self.discard()

    def write(self, data: bytes) -> None:
        """Appends bytes (StorageFull if there is no room)."""
        with storage_errors():
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        self._builder.update(data)
        self.size_bytes += len(data)

    def cid(self) -> bytes:
        """The CID of the bytes so far."""
        return self._builder.finish()

    def discard(self) -> None:
        """Removes the bytes: they are kept elsewhere, or of no use."""
        self.path.unlink(missing_ok=True)


@contextmanager
def storage_errors() -> Iterator[None]:
    """StorageFull where the system says that there is no room."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"storage: {os.strerror(error.errno or 0)}") from error
        raise
