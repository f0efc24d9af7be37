"""Typed errors of `store`."""


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
