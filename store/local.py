"""The embedded store: a directory of files named by their CIDs.

XX/CID              an object; XX are the last two characters of its CID
holders/HOLDER/CID  an empty file: HOLDER keeps the object
draft-*             an object in the making
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from store.cid import CHUNK_BYTES, CidBuilder, cid_of, from_text, leaf_cid, to_text
from store.errors import CorruptContent, NotFound, TooLarge, storage_errors
from store.interface import (
    DEFAULT_MAX_OBJECT_BYTES,
    Draft,
    Store,
    require_cid,
    require_holder,
    require_range,
)

GRACE_SECONDS = 3600
"""So long an object that nobody holds is left alone: whoever put it is about to pin it."""


class ContentStore(Store):
    """Bytes under their CIDs: written whole or not at all, durable when a call returns, checked when they are read.

    Calls block on the disk. Several processes may share a directory.

    Args:
        directory: made if it is missing.
        max_object_bytes: the largest object taken or returned.
        grace_seconds: how old an object must be to be collected.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_object_bytes: int = DEFAULT_MAX_OBJECT_BYTES,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.directory = self.drafts_directory = directory
        self.max_object_bytes = max_object_bytes
        self._grace_seconds = grace_seconds
        directory.mkdir(parents=True, exist_ok=True)

    def draft(self) -> Draft:
        return Draft(self.directory, self.max_object_bytes, self._keep)

    def has(self, cid: bytes) -> bool:
        return self._path(cid).is_file()

    def get(self, cid: bytes) -> bytes:
        with self._open(cid) as file:
            data = file.read(self.max_object_bytes + 1)
        if len(data) > self.max_object_bytes:
            raise TooLarge(self.max_object_bytes)
        require_cid(cid, cid_of(data))
        return data

    def stream(self, cid: bytes, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self._open(cid) as file:
            leaves, size_bytes = self._leaves(cid, file)
            end = require_range(start, length, size_bytes)
            first = start // CHUNK_BYTES
            file.seek(first * CHUNK_BYTES)
            for i in range(first, -(-end // CHUNK_BYTES)):
                chunk = file.read(CHUNK_BYTES)
                # Read a second time, so checked a second time.
                if leaf_cid(chunk) != leaves[i]:
                    raise CorruptContent(to_text(cid), "something else at a second look")
                at = i * CHUNK_BYTES
                if piece := chunk[max(start - at, 0) : end - at]:
                    yield piece

    def pin(self, cid: bytes, holder: str) -> None:
        require_holder(holder)
        with self._locked(fcntl.LOCK_SH):
            if not self.has(cid):
                raise NotFound(to_text(cid))
            directory = self._held_by(holder)
            with storage_errors():
                directory.mkdir(parents=True, exist_ok=True)
                (directory / to_text(cid)).touch()
                for path in (directory, directory.parent, self.directory):
                    _sync_directory(path)

    def unpin(self, cid: bytes, holder: str) -> None:
        require_holder(holder)
        (self._held_by(holder) / to_text(cid)).unlink(missing_ok=True)

    def held(self, holder: str) -> set[bytes]:
        require_holder(holder)
        directory = self._held_by(holder)
        return {from_text(path.name) for path in directory.iterdir()} if directory.is_dir() else set()

    def collect(self) -> int:
        # Nobody pins meanwhile; what is being put is younger than the grace.
        with self._locked(fcntl.LOCK_EX):
            kept = {path.name for path in self.directory.glob("holders/*/*")}
            latest = time.time() - self._grace_seconds
            gone = [path for path in self._objects() if path.name not in kept and path.stat().st_mtime <= latest]
            for path in gone:
                path.unlink()
            return len(gone)

    # ------------------------------------------------------------------ private

    def _keep(self, cid: bytes, path: Path, file: IO[bytes]) -> None:
        target = self._path(cid)
        os.fsync(file.fileno())
        target.parent.mkdir(exist_ok=True)
        path.replace(target)
        _sync_directory(target.parent)
        _sync_directory(target.parent.parent)

    def _open(self, cid: bytes) -> IO[bytes]:
        path = self._path(cid)
        try:
            return path.open("rb")
        except FileNotFoundError:
            raise NotFound(path.name) from None

    def _leaves(self, cid: bytes, file: IO[bytes]) -> tuple[list[bytes], int]:
        """The CIDs of an object's chunks, and its size, once the whole file has been found to be right."""
        builder, size_bytes = CidBuilder(), 0
        while chunk := file.read(CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > self.max_object_bytes:
                raise TooLarge(self.max_object_bytes)
            builder.update(chunk)
        require_cid(cid, builder.finish())
        return builder.leaves(), size_bytes

    def _path(self, cid: bytes) -> Path:
        name = to_text(cid)
        # The last characters are the digest's, and so evenly spread.
        return self.directory / name[-2:] / name

    def _objects(self) -> Iterator[Path]:
        return self.directory.glob("??/*")

    def _held_by(self, holder: str) -> Path:
        return self.directory / "holders" / holder

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Keeps those who pin and those who collect apart, in all processes."""
        handle = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, how)
            yield
        finally:
            os.close(handle)


def _sync_directory(path: Path) -> None:
    """A rename is durable only when its directory is."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
