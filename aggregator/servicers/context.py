"""A call's context, and what it receives."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc.aio import ServicerContext

from protocol.refusals import TruncatedUpload

Context = ServicerContext[Any, Any]


async def received(context: Context, idle_seconds: float) -> AsyncIterator[Any]:
    """The messages of a streaming call. gRPC's own iterator leaks a coroutine when a call is refused half-way.

    Raises:
        TruncatedUpload: nothing came for `idle_seconds`.
    """
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                message = await context.read()
        except TimeoutError:
            raise TruncatedUpload(f"upload: nothing came for {idle_seconds:g} s", limit=f"{idle_seconds:g} s") from None
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]
            return
        yield message
