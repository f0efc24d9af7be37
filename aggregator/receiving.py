"""The bytes of an upload: from a stream of chunks to a file, within its limits, from where they stopped before."""

from collections.abc import AsyncIterator, Awaitable, Callable

from merit.v1.models_pb2 import UploadGenesisRequest
from merit.v1.types_pb2 import Chunk
from merit.v1.updates_pb2 import UploadUpdateRequest

from aggregator.limits import Flow
from aggregator.partials import Partial, PartialKey, Partials
from aggregator.tools import off_loop
from protocol import wire
from protocol.refusals import InvalidField

Part = UploadUpdateRequest | UploadGenesisRequest


async def _nothing() -> None: ...


async def receive(
    messages: AsyncIterator[Part],
    partials: Partials,
    key: PartialKey,
    size_bytes: int,
    flow: Flow,
    *,
    between: Callable[[], Awaitable[None]] = _nothing,
) -> Partial:
    """All bytes of an upload, on disk, from the offset that the stream begins with.

    Args:
        between: is called after each chunk, and may refuse the rest.
    Raises:
        InvalidField, InvalidChunk, TruncatedUpload, SlowUpload, StorageFull.
    """
    chunk = await _next_chunk(messages)
    offset_bytes = None if chunk is None else chunk.offset_bytes
    with await off_loop(partials.open, key, offset_bytes) as partial:
        assembly = wire.Assembly(size_bytes, partial.size_bytes)
        while chunk is not None:
            data = assembly.take(chunk)
            await off_loop(partial.write, data)
            await flow.took(len(data), partial.size_bytes)
            await between()
            chunk = await _next_chunk(messages)
    assembly.require_complete()
    return partial


async def _next_chunk(messages: AsyncIterator[Part]) -> Chunk | None:
    message = await anext(messages, None)
    if message is None:
        return None
    if message.WhichOneof("part") != "chunk":
        raise InvalidField.of("part", message.WhichOneof("part"), "after the header come chunks")
    return message.chunk
