"""Objects on their way out: whoever asks for one that is being sent already shares its bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from merit.v1.types_pb2 import Chunk, Range

from aggregator.servicers.context import Context, send
from aggregator.tools import Tools
from protocol import wire

_MAX_OBJECTS = 8


@dataclass
class _Shared:
    data: asyncio.Task[bytes]
    readers: int = 0


class Downloads:
    """At most 8 objects are in memory, however many are sent."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._shared: dict[bytes, _Shared] = {}
        self._places = asyncio.Semaphore(_MAX_OBJECTS)

    async def send(self, cid: bytes, wanted: Range, context: Context, response: Callable[[Chunk, int], object]) -> None:
        """Streams an object, or a part of it.

        Args:
            response: a message of the stream, from a chunk and the object's size.
        Raises:
            InvalidField: the range is not within the object. SlowUpload: the other end takes nothing.
        """
        async with self._opened(cid) as data:
            start_bytes, end_bytes = wire.read_range(wanted, len(data))
            for chunk in wire.chunks(data, start_bytes, end_bytes):
                await send(context, response(chunk, len(data)), self._tools.config.idle_seconds)

    @asynccontextmanager
    async def _opened(self, cid: bytes) -> AsyncIterator[bytes]:
        shared = self._shared.get(cid)
        if shared is None:
            shared = self._shared[cid] = _Shared(asyncio.create_task(self._read(cid)))
        shared.readers += 1
        try:
            # Who hangs up must not end the reading for the others.
            yield await asyncio.shield(shared.data)
        finally:
            shared.readers -= 1
            if not shared.readers:
                del self._shared[cid]
                self._close(shared.data)

    async def _read(self, cid: bytes) -> bytes:
        await self._places.acquire()
        try:
            return await self._tools.with_store(self._tools.store.get, cid)
        except BaseException:
            self._places.release()
            raise

    def _close(self, data: asyncio.Task[bytes]) -> None:
        if not data.done():
            data.cancel()
        elif not data.cancelled() and data.exception() is None:
            self._places.release()
