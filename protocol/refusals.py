"""The catalogue of what a service refuses: one exception a code, raised by the aggregator and again by its clients.

A refusal travels as a `google.rpc.Status` (see errors.proto). Its message is public: it never holds more than the
caller sent or the chain shows. docs/errors has a page for each code.
"""

from collections.abc import Mapping
from typing import ClassVar, TypeVar, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from merit.v1.errors_pb2 import ErrorCode

DOMAIN = "merit.v1"
_PREFIX = "ERROR_CODE_"
_MAX_SHOWN = 200

_BY_REASON: dict[str, type["Refusal"]] = {}


class Refusal(Exception):
    """Root of every refusal.

    Attributes:
        code: stable code of the wire's catalogue.
        reason: the code's name, as it travels.
        status: gRPC status that it travels under.
        retry_seconds: after how long the same call may succeed; None where it will not by itself.
        field: the offending field, or "".
        limit: what would have been accepted, or "".
        facts: what else the caller can act on, by name.
    """

    code: ClassVar[ErrorCode.ValueType] = ErrorCode.ERROR_CODE_INTERNAL
    reason: ClassVar[str] = "INTERNAL"
    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    retry_seconds: float | None = None

    def __init__(
        self, message: str, *, field: str = "", limit: str = "", facts: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.limit = limit
        self.facts = dict(facts or {})

    def __init_subclass__(cls, code: str, status: grpc.StatusCode, retry_seconds: float | None = None) -> None:
        cls.code = ErrorCode.Value(f"{_PREFIX}{code}")
        cls.reason = code
        cls.status = status
        cls.retry_seconds = retry_seconds
        _BY_REASON[code] = cls

    def to_status(self) -> Status:
        """The status that carries this refusal."""
        known = {"field": self.field, "limit": self.limit}
        metadata = {**self.facts, **{key: value for key, value in known.items() if value}}
        details: list[Message] = [ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=metadata)]
        if self.field:
            violation = BadRequest.FieldViolation(field=self.field, description=self.limit or self.message)
            details.append(BadRequest(field_violations=[violation]))
        if self.retry_seconds is not None:
            delay = Duration()
            delay.FromMilliseconds(round(1000 * self.retry_seconds))
            details.append(RetryInfo(retry_delay=delay))
        return Status(code=self.status.value[0], message=self.message, details=[_packed(each) for each in details])


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


class TruncatedUpload(Refusal, code="TRUNCATED_UPLOAD", status=grpc.StatusCode.DATA_LOSS, retry_seconds=0):
    """The stream ended, or fell silent, before the announced size; what came is kept for a while."""


class SlowUpload(Refusal, code="SLOW_UPLOAD", status=grpc.StatusCode.DEADLINE_EXCEEDED, retry_seconds=0):
    """The upload is slower than the service waits for; what came is kept for a while."""


class ContentMismatch(Refusal, code="CONTENT_MISMATCH", status=grpc.StatusCode.DATA_LOSS):
    """The bytes are not those of the announced CID."""


class MalformedContent(Refusal, code="MALFORMED_OBJECT", status=grpc.StatusCode.INVALID_ARGUMENT):
    """The bytes are not an update or model of this task: size, dim, dtype or salts differ."""


class OutOfRange(Refusal, code="OUT_OF_RANGE", status=grpc.StatusCode.OUT_OF_RANGE):
    """An entry is outside the task's b-bit range."""


class InvalidSignature(Refusal, code="INVALID_SIGNATURE", status=grpc.StatusCode.UNAUTHENTICATED):
    """A signature is malformed, or not the signer's over this very content."""


class ClockSkew(Refusal, code="CLOCK_SKEW", status=grpc.StatusCode.UNAUTHENTICATED):
    """A signed call's deadline is over, or too far ahead, by the service's clock, which is among the facts."""

    NOW = "now_seconds"

    @property
    def now_seconds(self) -> int | None:
        """The service's clock; None if it does not say."""
        said = self.facts.get(self.NOW, "")
        return int(said) if said.isdecimal() else None


class ReplayedCall(Refusal, code="REPLAYED_CALL", status=grpc.StatusCode.ALREADY_EXISTS):
    """A call with this signer and nonce was taken before."""


class NotOwner(Refusal, code="NOT_OWNER", status=grpc.StatusCode.PERMISSION_DENIED):
    """The call is for the task's owner alone."""


class WrongCommitment(Refusal, code="COMMITMENT_MISMATCH", status=grpc.StatusCode.INVALID_ARGUMENT):
    """The bytes do not open the commitment."""


class PointAlreadyUsed(Refusal, code="POINT_ALREADY_USED", status=grpc.StatusCode.ALREADY_EXISTS):
    """The aggregator has seen a commitment with this x before, in this task or in another."""


class UnknownModel(Refusal, code="UNKNOWN_MODEL", status=grpc.StatusCode.NOT_FOUND):
    """The task has no model of this version yet."""


class UnknownProof(Refusal, code="UNKNOWN_PROOF", status=grpc.StatusCode.NOT_FOUND):
    """The round has no such proof yet."""


class UnknownAssessment(Refusal, code="UNKNOWN_ASSESSMENT", status=grpc.StatusCode.NOT_FOUND):
    """The round's rule is not proven yet."""


class UnknownUpdate(Refusal, code="UNKNOWN_UPDATE", status=grpc.StatusCode.NOT_FOUND):
    """The trainer has no update in this round."""


class ChainDown(Refusal, code="CHAIN_UNAVAILABLE", status=grpc.StatusCode.UNAVAILABLE, retry_seconds=2):
    """The aggregator's chain does not answer; nothing was lost, try again."""


class StateDown(Refusal, code="STATE_UNAVAILABLE", status=grpc.StatusCode.UNAVAILABLE, retry_seconds=2):
    """The aggregator's database does not answer; nothing was kept, try again."""


class StoreDown(Refusal, code="STORE_UNAVAILABLE", status=grpc.StatusCode.UNAVAILABLE, retry_seconds=2):
    """The IPFS node that the aggregator keeps its objects in does not answer; nothing was kept, try again."""


class Draining(Refusal, code="DRAINING", status=grpc.StatusCode.UNAVAILABLE, retry_seconds=2):
    """The service is stopping; try again when it is back."""


class TooManyUploads(Refusal, code="TOO_MANY_UPLOADS", status=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_seconds=1):
    """The service is at its limit of uploads at once; try again."""


class TooManyStreams(Refusal, code="TOO_MANY_STREAMS", status=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_seconds=2):
    """The caller's address, or all together, have more calls under way than the service takes."""


class RateLimited(Refusal, code="RATE_LIMITED", status=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_seconds=1):
    """The caller's address has used up its rate."""


class TermsRefused(Refusal, code="UNACCEPTABLE_TERMS", status=grpc.StatusCode.FAILED_PRECONDITION):
    """A task's terms are not what an honest task has, or not within this operator's limits."""


class TransactionRefused(Refusal, code="TRANSACTION_REFUSED", status=grpc.StatusCode.FAILED_PRECONDITION):
    """The transaction is no createTask of this market, or the chain refuses it; nothing was escrowed."""


class DiskFull(Refusal, code="STORAGE_FULL", status=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_seconds=60):
    """The service has no room for the bytes; nothing was kept."""


def from_error(error: grpc.aio.AioRpcError) -> Refusal | None:
    """The refusal that a failed call carries, as the exception that was raised; None if there is none.

    A code that this version does not know becomes a plain `Refusal`.
    """
    try:
        status = rpc_status.from_call(cast(grpc.Call, error))
    except (DecodeError, ValueError):
        return None
    return None if status is None else from_status(status)


def from_status(status: Status) -> Refusal | None:
    """The refusal that a status carries; None if it is none of ours."""
    info = _detail(status, ErrorInfo())
    if info is None or info.domain != DOMAIN:
        return None
    facts = dict(info.metadata)
    kind = _BY_REASON.get(info.reason, Refusal)
    refusal = kind(status.message, field=facts.pop("field", ""), limit=facts.pop("limit", ""), facts=facts)
    retry = _detail(status, RetryInfo())
    refusal.retry_seconds = None if retry is None else retry.retry_delay.ToMilliseconds() / 1000
    return refusal


M = TypeVar("M", bound=Message)


def _detail(status: Status, into: M) -> M | None:
    """The status's first detail of this kind."""
    try:
        return next((into for detail in status.details if detail.Unpack(into)), None)
    except DecodeError:
        return None


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
