"""A directory of files named by their CIDs."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from store.cid import CidBuilder, cid_of, to_text
from store.errors import CorruptContent, NotFound, StorageFull, TooLarge

DEFAULT_MAX_OBJECT_BYTES = 1 << 30
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DRAFT_PREFIX = "draft-"


class ContentStore:
    """Bytes under their CIDs: written whole or not at all, durable when a call returns, checked when they are read.

    Calls block on the disk. Several processes may share a directory.

    Args:
        directory: made if it is missing.
        max_object_bytes: the largest object taken or returned.
    """

    def __init__(self, directory: Path, *, max_object_bytes: int = DEFAULT_MAX_OBJECT_BYTES) -> None:
        self.directory = directory
        self.max_object_bytes = max_object_bytes
        directory.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> bytes:
        """Keeps the bytes; returns their CID.

        Raises:
            TooLarge, StorageFull.
        """
        with self.draft() as draft:
            draft.write(data)
            return draft.keep()

    def draft(self) -> "Draft":
        """A place for bytes that arrive in pieces; forgotten unless `keep` is called."""
        return Draft(self)

    def has(self, cid: bytes) -> bool:
        return self._path(cid).is_file()

    def get(self, cid: bytes) -> bytes:
        """The bytes, whose CID is checked.

        Raises:
            NotFound, TooLarge, CorruptContent, InvalidCid.
        """
        path = self._path(cid)
        try:
            with path.open("rb") as file:
                data = file.read(self.max_object_bytes + 1)
        except FileNotFoundError:
            raise NotFound(path.name) from None
        if len(data) > self.max_object_bytes:
            raise TooLarge(self.max_object_bytes)
        found = cid_of(data)
        if found != cid:
            raise CorruptContent(path.name, to_text(found))
        return data

    def remove_drafts(self) -> int:
        """Removes what an interrupted process left behind; only while no other process writes. Returns how many."""
        leftovers = list(self.directory.glob(_DRAFT_PREFIX + "*"))
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        return len(leftovers)

    def _path(self, cid: bytes) -> Path:
        name = to_text(cid)
        # The last characters are the digest's, and so evenly spread.
        return self.directory / name[-2:] / name


class Draft:
    """An object in the making. A context manager: leaving it without `keep` leaves nothing behind.

    Attributes:
        size_bytes: bytes written so far.
    """

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._builder = CidBuilder()
        self.size_bytes = 0
        with _storage_errors():
            handle, name = tempfile.mkstemp(prefix=_DRAFT_PREFIX, dir=store.directory)
        self._path = Path(name)
        self._file = os.fdopen(handle, "w+b")

    def __enter__(self) -> "Draft":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing flushes, which fails on a full disk: what is being forgotten need not be flushed.
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Appends bytes.

        Raises:
            TooLarge, StorageFull.
        """
        if self.size_bytes + len(data) > self._store.max_object_bytes:
            raise TooLarge(self._store.max_object_bytes)
        with _storage_errors():
            self._file.write(data)
        self._builder.update(data)
        self.size_bytes += len(data)

    def read(self) -> bytes:
        """All bytes so far, to be looked at before they are kept."""
        with _storage_errors():
            self._file.flush()
            self._file.seek(0)
            return self._file.read()

    def cid(self) -> bytes:
        """The CID of the bytes so far."""
        return self._builder.finish()

    def keep(self) -> bytes:
        """Makes the object durable under its CID, which is returned."""
        cid = self.cid()
        target = self._store._path(cid)
        with _storage_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            target.parent.mkdir(exist_ok=True)
            self._path.replace(target)
            _sync_directory(target.parent)
            _sync_directory(target.parent.parent)
        return cid


def _sync_directory(path: Path) -> None:
    """A rename is durable only when its directory is."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"storage: {os.strerror(error.errno or 0)}") from error
        raise
