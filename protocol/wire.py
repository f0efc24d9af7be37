"""Messages to values and back, and how bytes travel in chunks. Whatever comes from the wire is checked here first."""

import ipaddress
from collections.abc import Iterator

from eth_typing import ChecksumAddress
from eth_utils.address import to_canonical_address, to_checksum_address
from merit.v1.types_pb2 import Chunk, Point, Range
from merit.v1.types_pb2 import Receipt as ReceiptMessage

from circuits.bn254 import INFINITY, G1Point
from circuits.errors import FieldError
from contracts.bindings import eip712
from protocol.refusals import InvalidChunk, InvalidField, TruncatedUpload
from store.cid import to_text
from store.errors import InvalidCid

CHUNK_BYTES = 1 << 20
# A chunk and its frame; anything longer is refused by the transport before it is held.
MAX_MESSAGE_BYTES = CHUNK_BYTES + (64 << 10)
SIGNATURE_BYTES = 65

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)


def point_message(point: tuple[int, int]) -> Point:
    return Point(x=point[0].to_bytes(32, "big"), y=point[1].to_bytes(32, "big"))


def read_point(message: Point, field: str = "point") -> G1Point:
    """A point on the curve that is not infinity (InvalidField otherwise)."""
    if len(message.x) != 32 or len(message.y) != 32:
        raise InvalidField.of(field, f"{len(message.x)} and {len(message.y)} bytes", "each coordinate has 32 bytes")
    try:
        point = G1Point.from_bytes(message.x + message.y)
    except FieldError as error:
        raise InvalidField.of(field, message.x.hex(), error.limit) from None
    if point == INFINITY:
        raise InvalidField.of(field, "infinity", "it must not be the point at infinity")
    return point


def address_bytes(address: str) -> bytes:
    return to_canonical_address(address)


def read_address(raw: bytes, field: str) -> ChecksumAddress:
    """An address of 20 bytes (InvalidField otherwise)."""
    if len(raw) != 20:
        raise InvalidField.of(field, f"{len(raw)} bytes", "an address has 20 bytes")
    return to_checksum_address(raw)


def read_cid(raw: bytes, field: str) -> bytes:
    """A binary CID as the content store makes them (InvalidField otherwise)."""
    try:
        to_text(raw)
    except InvalidCid as error:
        raise InvalidField(f"{field}: {error}", field=field, limit="a CIDv1 of SHA-256") from None
    return raw


def is_loopback(host: str) -> bool:
    """Whether nothing that is sent to this host leaves the machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def receipt_message(receipt: eip712.Receipt, cid: bytes, signature: bytes) -> ReceiptMessage:
    return ReceiptMessage(
        task_id=receipt.task_id,
        round=receipt.round,
        trainer=address_bytes(receipt.trainer),
        point=point_message((receipt.point_x, receipt.point_y)),
        cid=cid,
        received_at_seconds=receipt.received_at_seconds,
        stored_until_seconds=receipt.stored_until_seconds,
        signature=signature,
    )


def read_receipt(message: ReceiptMessage) -> eip712.Receipt:
    """What the receipt's signature is over (InvalidField if a field is malformed)."""
    point = read_point(message.point, "receipt.point")
    return eip712.Receipt(
        task_id=message.task_id,
        round=message.round,
        trainer=read_address(message.trainer, "receipt.trainer"),
        point_x=point.x,
        point_y=point.y,
        cid_digest=eip712.cid_digest(message.cid),
        received_at_seconds=message.received_at_seconds,
        stored_until_seconds=message.stored_until_seconds,
    )


def chunks(data: bytes, start_bytes: int = 0, end_bytes: int | None = None) -> Iterator[Chunk]:
    """The bytes, or a part of them, in chunks of at most 1 MiB."""
    end_bytes = len(data) if end_bytes is None else end_bytes
    for start in range(start_bytes, end_bytes, CHUNK_BYTES):
        yield Chunk(offset_bytes=start, data=data[start : min(start + CHUNK_BYTES, end_bytes)])


def read_range(message: Range, total_bytes: int) -> tuple[int, int]:
    """Start and end of a part of an object (InvalidField unless it lies within the object)."""
    if message.offset_bytes > total_bytes:
        raise InvalidField.of("range.offset_bytes", message.offset_bytes, f"the object has {total_bytes} bytes")
    end_bytes = message.offset_bytes + message.length_bytes if message.length_bytes else total_bytes
    if end_bytes > total_bytes:
        limit = f"{total_bytes - message.offset_bytes} bytes follow the offset"
        raise InvalidField.of("range.length_bytes", message.length_bytes, limit)
    return message.offset_bytes, end_bytes


class Assembly:
    """Checks that chunks come in order and add up to exactly the announced size.

    Attributes:
        received_bytes: so far; those that were there before count.
    """

    def __init__(self, size_bytes: int, received_bytes: int = 0) -> None:
        self.size_bytes = size_bytes
        self.received_bytes = received_bytes

    def take(self, chunk: Chunk) -> bytes:
        """The chunk's bytes, if they are the next ones (InvalidChunk otherwise)."""
        data = chunk.data  # each look at it copies
        if not 0 < len(data) <= CHUNK_BYTES:
            raise InvalidChunk(
                f"chunk.data: got {len(data)} bytes, but a chunk has 1 to {CHUNK_BYTES}",
                field="chunk.data",
                limit=f"1 to {CHUNK_BYTES} bytes",
            )
        if chunk.offset_bytes != self.received_bytes:
            raise InvalidChunk(
                f"chunk.offset_bytes: got {chunk.offset_bytes}, but the next byte is {self.received_bytes}",
                field="chunk.offset_bytes",
                limit=str(self.received_bytes),
            )
        if self.received_bytes + len(data) > self.size_bytes:
            raise InvalidChunk(
                f"chunk.data: goes beyond the {self.size_bytes} bytes of the header",
                field="chunk.data",
                limit=f"{self.size_bytes} bytes in all",
            )
        self.received_bytes += len(data)
        return data

    def require_complete(self) -> None:
        """TruncatedUpload if bytes are missing."""
        if self.received_bytes != self.size_bytes:
            raise TruncatedUpload(
                f"upload: ended after {self.received_bytes} of {self.size_bytes} bytes",
                field="size_bytes",
                limit=str(self.size_bytes),
            )
