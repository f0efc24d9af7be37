"""The aggregator as an object: typed calls, refusals as the exceptions that they were, and retries."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from merit.v1 import (
    models_pb2,
    models_pb2_grpc,
    proofs_pb2,
    proofs_pb2_grpc,
    rounds_pb2,
    rounds_pb2_grpc,
    tasks_pb2,
    tasks_pb2_grpc,
    updates_pb2,
    updates_pb2_grpc,
)
from merit.v1.types_pb2 import Chunk, Receipt
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from circuits.errors import FieldError
from circuits.proof import Proof
from clients.errors import AggregatorUnreachable, InvalidDownload
from protocol import wire
from protocol.calls import UPLOAD_GENESIS, UPLOAD_UPDATE, CallSigner
from protocol.refusals import ChainDown, ClockSkew, Draining, InvalidChunk, TooManyUploads, TruncatedUpload, from_error

T = TypeVar("T")

CALL_SECONDS = 60.0
# A stranger's proof may be of any size up to this; models are bounded by their task's dim.
MAX_PROOF_BYTES = 8 << 20


class AggregatorClient:
    """A connection to an aggregator; an async context manager. Every call is safe to repeat, and is repeated.

    Args:
        target: host:port. The transport is not encrypted.
        patience_seconds: how long calls are repeated while the aggregator, or its chain, does not answer.
    """

    def __init__(self, target: str, *, patience_seconds: float = 60) -> None:
        self._channel = grpc.aio.insecure_channel(target, options=list(wire.CHANNEL_OPTIONS))
        self._tasks = tasks_pb2_grpc.TasksServiceStub(self._channel)
        self._rounds = rounds_pb2_grpc.RoundsServiceStub(self._channel)
        self._updates = updates_pb2_grpc.UpdatesServiceStub(self._channel)
        self._models = models_pb2_grpc.ModelsServiceStub(self._channel)
        self._proofs = proofs_pb2_grpc.ProofsServiceStub(self._channel)
        self._patience_seconds = patience_seconds

    async def __aenter__(self) -> "AggregatorClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close(None)

    async def task(self, task_id: int) -> tasks_pb2.Task:
        """What the aggregator says about a task. Raises UnknownTask."""
        request = tasks_pb2.GetTaskRequest(task_id=task_id)
        return (await self._call(lambda: self._tasks.GetTask(request, timeout=CALL_SECONDS))).task

    async def tasks(self) -> list[tasks_pb2.Task]:
        """Every task that names the aggregator."""
        found: list[tasks_pb2.Task] = []
        while True:
            page = await self._tasks_after(found[-1].task_id if found else 0)
            if not page:
                return found
            found += page

    async def _tasks_after(self, task_id: int) -> list[tasks_pb2.Task]:
        request = tasks_pb2.ListTasksRequest(after_task_id=task_id)
        return list((await self._call(lambda: self._tasks.ListTasks(request, timeout=CALL_SECONDS))).tasks)

    async def health(self, service: str) -> str:
        """SERVING or NOT_SERVING, by the health protocol."""
        stub, request = health_pb2_grpc.HealthStub(self._channel), health_pb2.HealthCheckRequest(service=service)
        answer = await self._call(lambda: stub.Check(request, timeout=CALL_SECONDS))
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    async def round(self, task_id: int, round: int) -> rounds_pb2.GetRoundResponse:
        """A round's slots and steps. Raises UnknownTask, UnknownRound."""
        request = rounds_pb2.GetRoundRequest(task_id=task_id, round=round)
        return await self._call(lambda: self._rounds.GetRound(request, timeout=CALL_SECONDS))

    async def watch(self, task_id: int, after_cursor: int = 0) -> AsyncIterator[rounds_pb2.WatchRoundsResponse]:
        """The task's journal from a cursor on, until the task is finished. Resume a broken stream with the last cursor.

        Raises:
            UnknownTask, Draining, AggregatorUnreachable.
        """
        request = rounds_pb2.WatchRoundsRequest(task_id=task_id, after_cursor=after_cursor)
        with _translated("WatchRounds"):
            async for response in self._rounds.WatchRounds(request):
                yield response

    async def upload_update(self, header: updates_pb2.UpdateHeader, data: bytes, signer: CallSigner) -> Receipt:
        """Sends an update of the signer's. Raises what the aggregator refuses it for."""

        def messages() -> Iterator[updates_pb2.UploadUpdateRequest]:
            call = signer.sign(UPLOAD_UPDATE, header, task_id=header.task_id, round=header.round)
            yield updates_pb2.UploadUpdateRequest(header=call)
            for chunk in wire.chunks(data):
                yield updates_pb2.UploadUpdateRequest(chunk=chunk)

        return (await self._signed(signer, lambda: self._updates.UploadUpdate(messages()))).receipt

    async def update_status(self, task_id: int, round: int, trainer: str) -> updates_pb2.GetUpdateStatusResponse:
        """What became of a trainer's update. Raises UnknownTask, UnknownUpdate."""
        request = updates_pb2.GetUpdateStatusRequest(task_id=task_id, round=round, trainer=wire.address_bytes(trainer))
        return await self._call(lambda: self._updates.GetUpdateStatus(request, timeout=CALL_SECONDS))

    async def model_info(self, task_id: int, version: int) -> models_pb2.ModelInfo:
        """Where a model is and what it commits to. Raises UnknownTask, UnknownModel."""
        request = models_pb2.GetModelInfoRequest(task_id=task_id, version=version)
        return (await self._call(lambda: self._models.GetModelInfo(request, timeout=CALL_SECONDS))).model

    async def download_model(self, task_id: int, version: int, *, limit_bytes: int) -> bytes:
        """A model's bytes, unchecked but for their number. Raises UnknownTask, UnknownModel, InvalidDownload."""
        request = models_pb2.DownloadModelRequest(task_id=task_id, version=version)
        return await self._call(
            lambda: _assemble((part.chunk async for part in self._models.DownloadModel(request)), limit_bytes)
        )

    async def upload_genesis(self, task_id: int, data: bytes, signer: CallSigner) -> models_pb2.ModelInfo:
        """Sends the genesis model of a task that the signer owns. Raises UnknownTask, NotOwner, MalformedContent."""

        def messages() -> Iterator[models_pb2.UploadGenesisRequest]:
            header = models_pb2.GenesisHeader(task_id=task_id, size_bytes=len(data))
            call = signer.sign(UPLOAD_GENESIS, header, task_id=task_id)
            yield models_pb2.UploadGenesisRequest(header=call)
            for chunk in wire.chunks(data):
                yield models_pb2.UploadGenesisRequest(chunk=chunk)

        return (await self._signed(signer, lambda: self._models.UploadGenesis(messages()))).model

    async def download_proof(self, task_id: int, round: int, layer: proofs_pb2.ProofLayer.ValueType) -> Proof:
        """A proof, unchecked. Raises UnknownTask, UnknownProof, InvalidDownload."""
        request = proofs_pb2.DownloadProofRequest(task_id=task_id, round=round, layer=layer)
        raw = await self._call(
            lambda: _assemble((part.chunk async for part in self._proofs.DownloadProof(request)), MAX_PROOF_BYTES)
        )
        try:
            return Proof.from_json(raw.decode())
        except (FieldError, UnicodeDecodeError) as error:
            raise InvalidDownload(f"proof: {error}") from error

    async def _signed(self, signer: CallSigner, action: Callable[[], Awaitable[T]]) -> T:
        """Makes a call that is signed anew each time, once more by the aggregator's clock where the clocks differ."""
        try:
            return await self._call(action)
        except ClockSkew as skew:
            if not signer.correct(skew):
                raise
        return await self._call(action)

    async def _call(self, action: Callable[[], Awaitable[T]]) -> T:
        """Makes a call, again for as long as the patience lasts."""
        retrying = AsyncRetrying(
            stop=stop_after_delay(self._patience_seconds),
            wait=wait_exponential_jitter(multiplier=0.2, max=5),
            retry=retry_if_exception(_passes),
            reraise=True,
        )

        async def attempt() -> T:
            with _translated("call"):
                return await action()

        return await retrying(attempt)


class _translated:  # noqa: N801  (reads as a statement)
    """Turns gRPC's one exception into the refusal that it carries, or into AggregatorUnreachable."""

    def __init__(self, method: str) -> None:
        self._method = method

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, grpc.aio.AioRpcError):
            refusal = from_error(error)
            if refusal is not None:
                raise refusal from error
            raise AggregatorUnreachable(self._method, error.code().name, error.details() or "") from error


def _passes(error: BaseException) -> bool:
    if isinstance(error, AggregatorUnreachable):
        return error.status == grpc.StatusCode.UNAVAILABLE.name
    return isinstance(error, ChainDown | Draining | TooManyUploads)


async def _assemble(chunks: AsyncIterator[Chunk], limit_bytes: int) -> bytes:
    assembly, data = wire.Assembly(limit_bytes), bytearray()
    try:
        async for chunk in chunks:
            data += assembly.take(chunk)
    except (InvalidChunk, TruncatedUpload) as error:
        raise InvalidDownload(error.message) from error
    return bytes(data)
