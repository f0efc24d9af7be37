"""Turns whatever a service raises into a refusal of the catalogue; what is not in it becomes an internal error."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc.aio import ServerInterceptor, ServicerContext
from grpc_status import rpc_status

from aggregator.errors import ChainBehind, StateTakenOver, StateUnavailable
from aggregator.limits import Limits, address_of
from aggregator.servicers.context import reading, require_readable
from contracts.bindings import ChainUnavailable
from process.logs import Log
from protocol.refusals import ChainDown, DiskFull, InternalError, Refusal, StateDown, StoreDown
from store.errors import StorageFull, StoreUnavailable

Context = ServicerContext[Any, Any]
# Generic in the stubs only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Refusals(ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Sees every call, and lets it in within the limits. The log gets what callers do not."""

    def __init__(self, log: Log, limits: Limits) -> None:
        self._log = log
        self._limits = limits

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler":
        handler = await continuation(handler_call_details)
        if handler is None:  # an unknown method: gRPC answers it
            return handler
        method = handler_call_details.method
        deserialize, serialize = reading(handler.request_deserializer), handler.response_serializer
        if handler.unary_unary:
            answer = self._answering(handler.unary_unary, method)
            return grpc.unary_unary_rpc_method_handler(answer, deserialize, serialize)
        if handler.stream_unary:
            answer = self._answering(handler.stream_unary, method)
            return grpc.stream_unary_rpc_method_handler(answer, deserialize, serialize)
        if handler.unary_stream:
            stream = self._streaming(handler.unary_stream, method)
            return grpc.unary_stream_rpc_method_handler(stream, deserialize, serialize)
        return handler

    def _answering(self, behaviour: Any, method: str) -> Any:
        async def answer(request: Any, context: Context) -> Any:
            try:
                with self._limits.call(address_of(context.peer())):
                    return await behaviour(require_readable(request), context)
            except Exception as error:
                await self._refuse(error, method, context)

        return answer

    def _streaming(self, behaviour: Any, method: str) -> Any:
        async def stream(request: Any, context: Context) -> None:
            try:
                with self._limits.call(address_of(context.peer())):
                    # Streams write to the context.
                    await behaviour(require_readable(request), context)
            except Exception as error:
                await self._refuse(error, method, context)

        return stream

    async def _refuse(self, error: Exception, method: str, context: Context) -> NoReturn:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        refusal = self._refusal(error, method)
        # Callers ask again and again for what is not there yet.
        log = self._log.debug if refusal.status == grpc.StatusCode.NOT_FOUND else self._log.info
        log("call.refused", method=method, code=refusal.reason, message=refusal.message)
        status = rpc_status.to_status(refusal.to_status())
        trailing = tuple(status.trailing_metadata)
        if refusal.retry_seconds is not None:
            # The same as RetryInfo, for channels that repeat calls by themselves.
            trailing += (("grpc-retry-pushback-ms", str(round(1000 * refusal.retry_seconds))),)
        await context.abort(status.code, status.details, trailing)

    def _refusal(self, error: Exception, method: str) -> Refusal:
        match error:
            case Refusal():
                return error
            case ChainUnavailable() | ChainBehind():
                return ChainDown("the aggregator's chain does not answer; nothing was lost, try again")
            case StateUnavailable() | StateTakenOver():
                return StateDown("the aggregator's database does not answer; nothing was kept, try again")
            case StoreUnavailable():
                self._log.warning("store.unavailable", method=method, error=str(error))
                return StoreDown("the aggregator's store does not answer; nothing was kept, try again")
            case StorageFull():
                return DiskFull("the aggregator's disk is full; nothing was kept")
        reference = secrets.token_hex(4)
        self._log.error("call.failed", method=method, reference=reference, exc_info=error)
        return InternalError(f"internal error; its reference is {reference}")
