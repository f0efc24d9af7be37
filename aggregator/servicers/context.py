"""A call's context, and what it receives."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc.aio import ServicerContext

Context = ServicerContext[Any, Any]


async def received(context: Context) -> AsyncIterator[Any]:
    """The messages of a streaming call. gRPC's own iterator leaks a coroutine when a call is refused half-way."""
    while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
        yield message
