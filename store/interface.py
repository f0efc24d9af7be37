"""What a content store is: bytes under their CIDs, whoever keeps them."""

import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from store.cid import CidBuilder, to_text
from store.errors import CorruptContent, InvalidHolder, InvalidRange, TooLarge, storage_errors

DEFAULT_MAX_OBJECT_BYTES = 1 << 30
DRAFT_PREFIX = "draft-"
_HOLDER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Store(ABC):
    """Bytes under their CIDs. Whatever comes out was checked against its CID; calls block.

    Attributes:
        max_object_bytes: the largest object taken or returned.
        drafts_directory: where drafts are written.
    """

    max_object_bytes: int
    drafts_directory: Path

    @abstractmethod
    def draft(self) -> "Draft":
        """A place for bytes that arrive in pieces; forgotten unless `keep` is called."""

    def put(self, data: bytes) -> bytes:
        """Keeps the bytes, durably; returns their CID. Nobody holds them yet: see `pin`.

        Raises:
            TooLarge, StorageFull, StoreUnavailable.
        """
        with self.draft() as draft:
            draft.write(data)
            return draft.keep()

    def put_for(self, holder: str, data: bytes) -> bytes:
        """Puts and pins."""
        cid = self.put(data)
        self.pin(cid, holder)
        return cid

    def replace(self, data: bytes) -> bytes:
        """As `put`, over whatever is there under the CID: makes good what is damaged."""
        return self.put(data)

    @abstractmethod
    def has(self, cid: bytes) -> bool:
        """Whether all bytes are at hand; whether they are right, only reading tells."""

    @abstractmethod
    def get(self, cid: bytes) -> bytes:
        """All bytes.

        Raises:
            NotFound, TooLarge, CorruptContent, InvalidCid, StoreUnavailable.
        """

    @abstractmethod
    def stream(self, cid: bytes, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes [start, start + length), or from start on, in pieces of at most a chunk, each checked before it
        comes out.

        Raises:
            InvalidRange: not within the object; and what `get` raises.
        """

    @abstractmethod
    def pin(self, cid: bytes, holder: str) -> None:
        """Keeps an object for `holder`, until the same holder lets go. Durable; again changes nothing.

        Args:
            holder: a name such as task-7: small letters, digits and dashes.
        Raises:
            NotFound, InvalidHolder, StoreUnavailable.
        """

    @abstractmethod
    def unpin(self, cid: bytes, holder: str) -> None:
        """Lets go of an object; nothing happens if it was not held."""

    @abstractmethod
    def held(self, holder: str) -> set[bytes]:
        """CIDs of what a holder keeps."""

    @abstractmethod
    def collect(self) -> int:
        """Removes what nobody holds; returns how many objects (embedded store) or blocks (IPFS) went."""

    def remove_drafts(self) -> int:
        """Removes what an interrupted process left behind; only while no other process writes. Returns how many."""
        leftovers = list(self.drafts_directory.glob(DRAFT_PREFIX + "*"))
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        return len(leftovers)


class Draft:
    """An object in the making. A context manager: leaving it without `keep` leaves nothing behind.

    Attributes:
        size_bytes: bytes written so far.
    """

    def __init__(self, directory: Path, max_object_bytes: int, keeper: "Keeper") -> None:
        self._max_object_bytes = max_object_bytes
        self._keeper = keeper
        self._builder = CidBuilder()
        self.size_bytes = 0
        with storage_errors():
            # Not deleted with its handle: keeping it is a rename.
            self._file: IO[bytes] = tempfile.NamedTemporaryFile(  # noqa: SIM115
                "w+b", prefix=DRAFT_PREFIX, dir=directory, delete=False
            )
        self._path = Path(self._file.name)

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
        if self.size_bytes + len(data) > self._max_object_bytes:
            raise TooLarge(self._max_object_bytes)
        with storage_errors():
            self._file.write(data)
        self._builder.update(data)
        self.size_bytes += len(data)

    def read(self) -> bytes:
        """All bytes so far, to be looked at before they are kept."""
        with storage_errors():
            self._file.flush()
            self._file.seek(0)
            return self._file.read()

    def cid(self) -> bytes:
        """The CID of the bytes so far."""
        return self._builder.finish()

    def keep(self) -> bytes:
        """Makes the object durable under its CID, which is returned."""
        cid = self.cid()
        with storage_errors():
            self._file.flush()
            self._keeper(cid, self._path, self._file)
        return cid


class Keeper(Protocol):
    """Makes a draft's flushed file durable under its CID."""

    def __call__(self, cid: bytes, path: Path, file: IO[bytes]) -> None: ...


def require_holder(holder: str) -> None:
    """InvalidHolder unless the name fits; it becomes a part of paths."""
    if not _HOLDER.fullmatch(holder):
        raise InvalidHolder(holder)


def require_range(start: int, length: int | None, size_bytes: int) -> int:
    """The end of a range within an object (InvalidRange if it is not)."""
    end = size_bytes if length is None else start + length
    if not 0 <= start <= end <= size_bytes:
        raise InvalidRange(start, length, size_bytes)
    return end


def require_cid(cid: bytes, found: bytes) -> None:
    """CorruptContent unless the bytes that were read have the CID they were asked for under."""
    if found != cid:
        raise CorruptContent(to_text(cid), to_text(found))
