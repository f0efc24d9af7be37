"""The catalogue of what a service refuses: one exception a code, raised by the aggregator and again by its clients.

A refusal travels as a gRPC status and an `ErrorDetail` in the trailing metadata. Its message is public: it never holds
more than the caller sent or the chain shows.
"""

from typing import ClassVar

import grpc
from google.protobuf.message import DecodeError
from merit.v1.errors_pb2 import ErrorCode, ErrorDetail

METADATA_KEY = "merit-error-bin"
_MAX_SHOWN = 200

_BY_CODE: dict[int, type["Refusal"]] = {}


class Refusal(Exception):
    """Root of every refusal.

    Attributes:
        code: stable code of the wire's catalogue.
        status: gRPC status that it travels under.
        field: the offending field, or "".
        limit: what would have been accepted, or "".
    """

    code: ClassVar[ErrorCode.ValueType] = ErrorCode.ERROR_CODE_INTERNAL
    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL

    def __init__(self, message: str, *, field: str = "", limit: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.limit = limit

    def __init_subclass__(cls, code: str, status: grpc.StatusCode) -> None:
        cls.code = ErrorCode.Value(f"ERROR_CODE_{code}")
        cls.status = status
        _BY_CODE[cls.code] = cls

    def to_metadata(self) -> tuple[str, bytes]:
        """The entry of the trailing metadata that carries this refusal."""
        detail = ErrorDetail(code=self.code, message=self.message, field=self.field, limit=self.limit)
        return METADATA_KEY, detail.SerializeToString()


class InternalError(Refusal, code="INTERNAL", status=grpc.StatusCode.INTERNAL):
    """The service failed; why is in its log."""


class InvalidField(Refusal, code="INVALID_FIELD", status=grpc.StatusCode.INVALID_ARGUMENT):
    """A field is missing, malformed or outside its limit."""

    @classmethod
    def of(cls, field: str, got: object, limit: str) -> "InvalidField":
        return cls(f"{field}: got {str(got)[:_MAX_SHOWN]}, but {limit}", field=field, limit=limit)


class UnknownTask(Refusal, code="UNKNOWN_TASK", status=grpc.StatusCode.NOT_FOUND):
    """This aggregator does not serve a task of this id."""


class UnknownRound(Refusal, code="UNKNOWN_ROUND", status=grpc.StatusCode.NOT_FOUND):
    """The task has not reached this round."""


class NotJoined(Refusal, code="NOT_JOINED", status=grpc.StatusCode.PERMISSION_DENIED):
    """The address has not joined the task on chain."""


class RoundNotCollecting(Refusal, code="ROUND_NOT_COLLECTING", status=grpc.StatusCode.FAILED_PRECONDITION):
    """The round has not begun."""


class LateUpdate(Refusal, code="LATE_UPDATE", status=grpc.StatusCode.FAILED_PRECONDITION):
    """The round takes no more updates."""


class SecondUpdate(Refusal, code="SECOND_UPDATE", status=grpc.StatusCode.ALREADY_EXISTS):
    """The trainer already has another update in this round."""


class RoundFull(Refusal, code="ROUND_FULL", status=grpc.StatusCode.RESOURCE_EXHAUSTED):
    """Every slot of the round that is for a trainer is taken."""


class InvalidChunk(Refusal, code="INVALID_CHUNK", status=grpc.StatusCode.INVALID_ARGUMENT):
    """A chunk is out of order, too long, empty, or beyond the announced size."""


class TruncatedUpload(Refusal, code="TRUNCATED_UPLOAD", status=grpc.StatusCode.DATA_LOSS):
    """The stream ended before the announced size."""


class ContentMismatch(Refusal, code="CONTENT_MISMATCH", status=grpc.StatusCode.DATA_LOSS):
    """The bytes are not those of the announced SHA-256 or CID."""


class MalformedContent(Refusal, code="MALFORMED_OBJECT", status=grpc.StatusCode.INVALID_ARGUMENT):
    """The bytes are not an update or model of this task: size, dim, dtype or salts differ."""


class OutOfRange(Refusal, code="OUT_OF_RANGE", status=grpc.StatusCode.OUT_OF_RANGE):
    """An entry is outside the task's b-bit range."""


class InvalidSignature(Refusal, code="INVALID_SIGNATURE", status=grpc.StatusCode.UNAUTHENTICATED):
    """The signature is not the trainer's over this very update."""


class WrongCommitment(Refusal, code="COMMITMENT_MISMATCH", status=grpc.StatusCode.INVALID_ARGUMENT):
    """The bytes do not open the commitment."""


class PointAlreadyUsed(Refusal, code="POINT_ALREADY_USED", status=grpc.StatusCode.ALREADY_EXISTS):
    """The aggregator has seen a commitment with this x before, in this task or in another."""


class UnknownModel(Refusal, code="UNKNOWN_MODEL", status=grpc.StatusCode.NOT_FOUND):
    """The task has no model of this version yet."""


class UnknownProof(Refusal, code="UNKNOWN_PROOF", status=grpc.StatusCode.NOT_FOUND):
    """The round has no such proof yet."""


class UnknownUpdate(Refusal, code="UNKNOWN_UPDATE", status=grpc.StatusCode.NOT_FOUND):
    """The trainer has no update in this round."""


class ChainDown(Refusal, code="CHAIN_UNAVAILABLE", status=grpc.StatusCode.UNAVAILABLE):
    """The aggregator's chain does not answer; nothing was lost, try again."""


class Draining(Refusal, code="DRAINING", status=grpc.StatusCode.UNAVAILABLE):
    """The service is stopping; try again when it is back."""


class TooManyUploads(Refusal, code="TOO_MANY_UPLOADS", status=grpc.StatusCode.RESOURCE_EXHAUSTED):
    """The service is at its limit of uploads at once; try again."""


class DiskFull(Refusal, code="STORAGE_FULL", status=grpc.StatusCode.RESOURCE_EXHAUSTED):
    """The service has no room for the bytes; nothing was kept."""


def from_metadata(trailing: grpc.aio.Metadata | None) -> Refusal | None:
    """The refusal that a call's trailing metadata carries, as the exception that was raised; None if there is none.

    A code that this version does not know becomes a plain `Refusal`.
    """
    raw = trailing.get(METADATA_KEY) if trailing is not None else None
    if not isinstance(raw, bytes):
        return None
    try:
        detail = ErrorDetail.FromString(raw)
    except DecodeError:
        return None
    kind = _BY_CODE.get(detail.code, Refusal)
    return kind(detail.message, field=detail.field, limit=detail.limit)
