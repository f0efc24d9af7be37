"""A call's context: what it receives and sends, and for how long it waits for the other end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc.aio import ServicerContext

from protocol.refusals import InvalidField, SlowUpload, TruncatedUpload

Context = ServicerContext[Any, Any]


class Unreadable:
    """Stands for a request whose bytes are no message of its type."""


def reading(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Parses requests, and leaves it to the call to refuse what is none: gRPC would answer outside the catalogue."""
    assert parse is not None, "every service's requests are messages"

    def read(raw: bytes) -> Any:
        try:
            return parse(raw)
        except DecodeError:
            return Unreadable()

    return read


def require_readable(request: Any) -> Any:
    """The request (InvalidField if it is none)."""
    if isinstance(request, Unreadable):
        raise InvalidField.of("message", "other bytes", "it is one of the method's requests")
    return request


async def received(context: Context, idle_seconds: float) -> AsyncIterator[Any]:
    """The messages of a streaming call. gRPC's own iterator leaks a coroutine when a call is refused half-way.

    Raises:
        TruncatedUpload: nothing came for `idle_seconds`. InvalidField: what came is no such message.
    """
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                message = await context.read()
        except TimeoutError:
            raise TruncatedUpload(f"upload: nothing came for {idle_seconds:g} s", limit=f"{idle_seconds:g} s") from None
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]
            return
        yield require_readable(message)


async def send(context: Context, response: object, idle_seconds: float) -> None:
    """Sends one message of a stream.

    Raises:
        SlowUpload: the other end took nothing for `idle_seconds`.
    """
    try:
        async with asyncio.timeout(idle_seconds):
            await context.write(response)
    except TimeoutError:
        raise SlowUpload(f"download: nothing was taken for {idle_seconds:g} s", limit=f"{idle_seconds:g} s") from None
