"""Typed errors of `store`."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

# EFBIG is the limit that a process has on the size of its files.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(Exception):
    """Root of every error raised by `store`."""


class NotFound(StoreError):
    """The store holds nothing under this CID.

    Attributes:
        cid: the CID as text.
    """

    def __init__(self, cid: str) -> None:
        super().__init__(f"{cid}: not in the store")
        self.cid = cid


class CorruptContent(StoreError):
    """Bytes are not what their CID says."""

    def __init__(self, cid: str, found: str) -> None:
        super().__init__(f"{cid}: the bytes hash to {found}")
        self.cid = cid


class InvalidCid(StoreError, ValueError):
    """No CIDv1 of SHA-256 over raw or dag-pb content."""


class TooLarge(StoreError):
    """An object is larger than the store takes.

    Attributes:
        limit_bytes: the most that it takes.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"object: over the limit of {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class StorageFull(StoreError):
    """The disk, or the user's quota on it, is full. Nothing was kept, nothing was lost."""


class StoreUnavailable(StoreError):
    """An IPFS node does not answer, or answers with something else than was asked for."""


class InvalidRange(StoreError, ValueError):
    """A range is not within its object.

    Attributes:
        size_bytes: of the object.
    """

    def __init__(self, start: int, length: int | None, size_bytes: int) -> None:
        super().__init__(f"range: got start {start}, length {length}, but the object has {size_bytes} bytes")
        self.size_bytes = size_bytes


class InvalidHolder(StoreError, ValueError):
    """A holder's name has other characters than small letters, digits and dashes, or more than 64 of them."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"holder: got {holder[:80]!r}, but it must have 1 to 64 of a-z, 0-9 and dashes")


class MalformedObject(StoreError, ValueError):
    """An object's bytes are not the one encoding that is accepted.

    Attributes:
        field: what is wrong.
        limit: what would have been accepted, in words.
    """

    def __init__(self, field: str, got: object, limit: str) -> None:
        super().__init__(f"{field}: got {got}, but {limit}")
        self.field = field
        self.limit = limit


class SealError(StoreError, ValueError):
    """Root of what is wrong with a sealed object, or with who opens it."""


class MalformedSeal(SealError):
    """A sealed object's header, or a wrapped key, is not of the one form that is accepted.

    Attributes:
        field: what is wrong.
        limit: what would have been accepted, in words.
    """

    def __init__(self, field: str, got: object, limit: str) -> None:
        super().__init__(f"{field}: got {got}, but {limit}")
        self.field = field
        self.limit = limit


class NotAReceiver(SealError):
    """No key in the header is for this account; it may have been given one later, on the chain.

    Attributes:
        address: the account's.
    """

    def __init__(self, address: str) -> None:
        super().__init__(f"receivers: {address} is not among them")
        self.address = address


class WrongKey(SealError):
    """A wrapped key does not open for this account, or is another object's."""


class WrongContext(SealError):
    """A sealed object was made for something else: another task, round or sender.

    Attributes:
        expected, found: 32 bytes each, in hex.
    """

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"context: got {found}, but it must be {expected}")
        self.expected = expected
        self.found = found


class TruncatedSeal(SealError):
    """Bytes are missing, or there are more than was said."""

    def __init__(self, expected_bytes: int, found_bytes: int) -> None:
        super().__init__(f"size_bytes: {expected_bytes} were announced, but there are {found_bytes}")
        self.expected_bytes = expected_bytes
        self.found_bytes = found_bytes


class ForgedChunk(SealError):
    """A chunk is not what was sealed, or not in its place, or not under its header.

    Attributes:
        index: which one.
    """

    def __init__(self, index: int) -> None:
        super().__init__(f"chunk {index}: it does not open: changed, out of its place, or under another header")
        self.index = index


class InvalidPublicKey(SealError):
    """Bytes are no compressed point of secp256k1, or not the key of the address that they are said to be."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """A full disk as StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"storage: {os.strerror(error.errno or 0)}") from error
        raise
