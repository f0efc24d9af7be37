"""Every call with an id: in the log lines that it leads to, in what the caller gets back, counted and traced.

It stands outside the interceptor that refuses, so that it sees what callers see.
"""

import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeAlias, cast

import grpc
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from grpc.aio import ServerInterceptor

from aggregator.telemetry import Telemetry
from process import logs
from process.tracing import Span
from protocol.refusals import from_status

REQUEST_ID = "merit-request-id"
_ID_BYTES = 8
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{8,64}")
_UPLOAD = "/UploadUpdate"
# Where google.rpc.Status travels.
_DETAILS = "grpc-status-details-bin"

# Generic in the stubs only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Observed(ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Sees every call of a known method, from its first message to its status."""

    def __init__(self, telemetry: Telemetry, log: logs.Log) -> None:
        self._telemetry = telemetry
        self._log = log

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler":
        handler = await continuation(handler_call_details)
        if handler is None:  # an unknown method: strangers could make up any number of names
            return handler
        method, given = handler_call_details.method, handler_call_details.invocation_metadata
        deserialize, serialize = handler.request_deserializer, handler.response_serializer
        begin = lambda context: _Call(self._telemetry, self._log, method, _request_id(given), context)  # noqa: E731
        if handler.unary_unary:
            answer = _answering(handler.unary_unary, begin)
            return grpc.unary_unary_rpc_method_handler(answer, deserialize, serialize)
        if handler.stream_unary:
            answer = _answering(handler.stream_unary, begin)
            return grpc.stream_unary_rpc_method_handler(answer, deserialize, serialize)
        if handler.unary_stream:
            stream = _streaming(handler.unary_stream, begin)
            return grpc.unary_stream_rpc_method_handler(stream, deserialize, serialize)
        if handler.stream_stream:
            stream = _streaming(handler.stream_stream, begin)
            return grpc.stream_stream_rpc_method_handler(stream, deserialize, serialize)
        return handler


def _answering(behaviour: Any, begin: Callable[[Any], "_Call"]) -> Any:
    async def answer(request: Any, context: Any) -> Any:
        with begin(context) as call:
            call.asks(request)
            return await behaviour(request, call)

    return answer


def _streaming(behaviour: Any, begin: Callable[[Any], "_Call"]) -> Any:
    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        with begin(context) as call:
            call.asks(request)
            responses = behaviour(request, call)
            # Health's Watch writes to the context and yields nothing: it is awaited, not iterated.
            if hasattr(responses, "__aiter__"):
                async for response in responses:
                    yield response
            else:
                await responses

    return stream


def _request_id(metadata: Sequence[tuple[str, str | bytes]] | None) -> str:
    """The caller's, if it is one that a log line may hold; else a new one."""
    for key, value in metadata or ():
        if key == REQUEST_ID and isinstance(value, str) and _WELL_FORMED.fullmatch(value):
            return value
    return secrets.token_hex(_ID_BYTES)


class _Call:
    """One call, in place of its context: hands everything on, and takes note."""

    def __init__(self, telemetry: Telemetry, log: logs.Log, method: str, request_id: str, context: Any) -> None:
        self._telemetry = telemetry
        self._log = log
        self._method = method
        self._context = context
        self._id = (REQUEST_ID, request_id)
        self._code = grpc.StatusCode.OK
        self._refusal = ""
        self._started_at = time.monotonic()
        self._span = Span()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def __enter__(self) -> "_Call":
        # Bound for good: a call has an asyncio task of its own.
        logs.bind(request=self._id[1], method=self._method, peer=self._context.peer())
        self._context.set_trailing_metadata((self._id,))
        self._telemetry.metrics.calls_running.labels(self._method).inc()
        self._span = self._telemetry.traces.begin(
            self._method.lstrip("/"), **{"rpc.system": "grpc", "merit.request": self._id[1]}
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and self._code is grpc.StatusCode.OK:
            # Whatever is not refused is a caller that went away.
            self._code = grpc.StatusCode.CANCELLED
        metrics, seconds = self._telemetry.metrics, time.monotonic() - self._started_at
        metrics.calls_running.labels(self._method).dec()
        metrics.calls.labels(self._method, self._code.name).inc()
        metrics.call_seconds.labels(self._method).observe(seconds)
        if self._method.endswith(_UPLOAD):
            received = self._code is grpc.StatusCode.OK
            metrics.updates.labels("received" if received else self._refusal or self._code.name.lower()).inc()
        self._span.set(**{"rpc.grpc.status_code": cast(tuple[int, str], self._code.value)[0]})
        self._span.end("" if self._code is grpc.StatusCode.OK else self._refusal or self._code.name)
        self._log.debug("call.done", code=self._code.name, seconds=round(seconds, 4))

    def asks(self, message: Any) -> None:
        """Names task and round of a request in the lines that follow."""
        fields = {"task": getattr(message, "task_id", None), "round": getattr(message, "round", None)}
        logs.bind(**{name: value for name, value in fields.items() if isinstance(value, int)})

    async def read(self) -> Any:
        """The next message of a stream; of an upload, its bytes are counted."""
        message = await self._context.read()
        is_message = isinstance(message, Message)  # and neither the end nor what is no message
        if is_message and "part" in message.DESCRIPTOR.oneofs_by_name and message.WhichOneof("part") == "chunk":
            self._telemetry.metrics.upload_bytes.inc(len(message.chunk.data))
        return message

    def set_trailing_metadata(self, metadata: Sequence[tuple[str, str | bytes]]) -> None:
        self._context.set_trailing_metadata((*metadata, self._id))

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Sequence[tuple[str, str | bytes]] = ()
    ) -> NoReturn:
        trailing = tuple(trailing_metadata)
        self._code = code
        for key, value in trailing:
            refusal = from_status(Status.FromString(value)) if key == _DETAILS else None
            self._refusal = self._refusal if refusal is None else refusal.reason.lower()
        await self._context.abort(code, details, (*trailing, self._id))
        raise AssertionError("abort raises")

    async def abort_with_status(self, status: Any) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata)
