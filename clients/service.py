"""The aggregator as an object: typed calls, refusals as the exceptions that they were, and retries."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Protocol, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from merit.v1 import (
    assessments_pb2,
    assessments_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    proofs_pb2,
    proofs_pb2_grpc,
    receipts_pb2,
    receipts_pb2_grpc,
    rounds_pb2,
    rounds_pb2_grpc,
    tasks_pb2,
    tasks_pb2_grpc,
    updates_pb2,
    updates_pb2_grpc,
)
from merit.v1.types_pb2 import Chunk, Range, Receipt
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from circuits.errors import FieldError
from circuits.proof import Proof
from clients.errors import AggregatorUnreachable, InvalidDownload
from clients.transport import Transport
from protocol import wire
from protocol.calls import CREATE_TASK, UPLOAD_GENESIS, UPLOAD_UPDATE, CallSigner
from protocol.refusals import (
    ChainDown,
    ClockSkew,
    ContentMismatch,
    Draining,
    InvalidChunk,
    MalformedContent,
    RateLimited,
    StoreDown,
    TooManyStreams,
    TooManyUploads,
    UnknownModel,
    from_error,
)
from store.errors import MalformedObject
from store.manifest import Manifest, decode_manifest

T = TypeVar("T")

# A stranger's proof may be of any size up to this; models are bounded by their task's dim.
MAX_PROOF_BYTES = 8 << 20


class AggregatorClient:
    """A connection to an aggregator; an async context manager.

    Every call is safe to repeat, and is repeated: reads by the channel, signed calls and transfers here, where they are
    signed anew and go on where they stopped.

    Args:
        target: host:port.
        transport: how it is reached; by default in the clear, on this machine only.
        patience_seconds: how long calls are repeated while the aggregator, or its chain, does not answer.
    Raises:
        TransportRefused: see `Transport.channel`.
    """

    def __init__(self, target: str, *, transport: Transport | None = None, patience_seconds: float = 60) -> None:
        self._channel = (transport or Transport()).channel(target, patience_seconds)
        self._tasks = tasks_pb2_grpc.TasksServiceStub(self._channel)
        self._rounds = rounds_pb2_grpc.RoundsServiceStub(self._channel)
        self._updates = updates_pb2_grpc.UpdatesServiceStub(self._channel)
        self._receipts = receipts_pb2_grpc.ReceiptsServiceStub(self._channel)
        self._assessments = assessments_pb2_grpc.AssessmentsServiceStub(self._channel)
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
        with _translated("GetTask"):
            return (await self._tasks.GetTask(tasks_pb2.GetTaskRequest(task_id=task_id))).task

    async def create_task(self, raw_transaction: bytes, signer: CallSigner) -> int:
        """Has a signed `createTask` transaction sent to the chain, if the aggregator would serve the task.

        Raises:
            TermsRefused, TransactionRefused: nothing was sent.
        """
        body = tasks_pb2.TaskCreation(raw_transaction=raw_transaction)

        async def action() -> tasks_pb2.CreateTaskResponse:
            call = signer.sign(CREATE_TASK, body)
            return await self._tasks.CreateTask(tasks_pb2.CreateTaskRequest(call=call))

        return (await self._signed(signer, action)).task_id

    async def tasks(self) -> list[tasks_pb2.Task]:
        """Every task that names the aggregator."""
        found: list[tasks_pb2.Task] = []
        while True:
            request = tasks_pb2.ListTasksRequest(after_task_id=found[-1].task_id if found else 0)
            with _translated("ListTasks"):
                page = (await self._tasks.ListTasks(request)).tasks
            if not page:
                return found
            found += page

    async def jobs(self) -> list[jobs_pb2.Job]:
        """Proofs that wait or are made."""
        stub = jobs_pb2_grpc.JobsServiceStub(self._channel)
        with _translated("ListJobs"):
            return list((await stub.ListJobs(jobs_pb2.ListJobsRequest())).jobs)

    async def health(self, service: str) -> str:
        """SERVING or NOT_SERVING, by the health protocol."""
        stub, request = health_pb2_grpc.HealthStub(self._channel), health_pb2.HealthCheckRequest(service=service)
        with _translated("Check"):
            answer = await stub.Check(request)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    async def round(self, task_id: int, round: int) -> rounds_pb2.GetRoundResponse:
        """A round's slots and steps. Raises UnknownTask, UnknownRound."""
        with _translated("GetRound"):
            return await self._rounds.GetRound(rounds_pb2.GetRoundRequest(task_id=task_id, round=round))

    async def watch(self, task_id: int, after_cursor: int = 0) -> AsyncGenerator[rounds_pb2.WatchRoundsResponse, None]:
        """The task's journal from a cursor on, until the task is finished. Resume a broken stream with the last cursor.

        Raises:
            UnknownTask, Draining, AggregatorUnreachable.
        """
        request = rounds_pb2.WatchRoundsRequest(task_id=task_id, after_cursor=after_cursor)
        call = self._rounds.WatchRounds(request)
        try:
            with _translated("WatchRounds"):
                async for response in call:
                    yield response
        finally:
            call.cancel()

    async def upload_update(self, header: updates_pb2.UpdateHeader, data: bytes, signer: CallSigner) -> Receipt:
        """Sends an update of the signer's; goes on where a broken attempt stopped.

        Raises what the aggregator refuses it for.
        """

        async def attempt(start_bytes: int) -> Receipt:
            def messages() -> Iterator[updates_pb2.UploadUpdateRequest]:
                call = signer.sign(UPLOAD_UPDATE, header, task_id=header.task_id, round=header.round)
                yield updates_pb2.UploadUpdateRequest(header=call)
                for chunk in wire.chunks(data, start_bytes):
                    yield updates_pb2.UploadUpdateRequest(chunk=chunk)

            return (await self._updates.UploadUpdate(messages())).receipt

        return await self._signed(
            signer, lambda: _resumed(attempt, lambda: self._received_bytes(header, signer), len(data))
        )

    async def upload_status(self, task_id: int, round: int, trainer: str, cid: bytes) -> int:
        """How many bytes of an upload are there. Raises UnknownTask."""
        request = updates_pb2.GetUploadStatusRequest(
            task_id=task_id, round=round, trainer=wire.address_bytes(trainer), cid=cid
        )
        with _translated("GetUploadStatus"):
            return (await self._updates.GetUploadStatus(request)).received_bytes

    async def update_status(self, task_id: int, round: int, trainer: str) -> updates_pb2.GetUpdateStatusResponse:
        """What became of a trainer's update. Raises UnknownTask, UnknownUpdate."""
        request = updates_pb2.GetUpdateStatusRequest(task_id=task_id, round=round, trainer=wire.address_bytes(trainer))
        with _translated("GetUpdateStatus"):
            return await self._updates.GetUpdateStatus(request)

    async def receipt(self, task_id: int, round: int, trainer: str) -> Receipt:
        """A trainer's receipt, unchecked. Raises UnknownTask, UnknownUpdate."""
        request = receipts_pb2.GetReceiptRequest(task_id=task_id, round=round, trainer=wire.address_bytes(trainer))
        with _translated("GetReceipt"):
            return (await self._receipts.GetReceipt(request)).receipt

    async def receipts(self, task_id: int, round: int, offset: int = 0, length: int = 0) -> list[Receipt]:
        """A round's receipts, unchecked. Raises UnknownTask."""
        request = receipts_pb2.DownloadReceiptsRequest(task_id=task_id, round=round, offset=offset, length=length)

        async def action() -> list[Receipt]:
            return [part.receipt async for part in self._receipts.DownloadReceipts(request)]

        return await self._insist(action)

    async def assessment(self, task_id: int, round: int) -> assessments_pb2.GetAssessmentResponse:
        """What became of a round's updates, unchecked. Raises UnknownTask, UnknownRound, UnknownAssessment."""
        request = assessments_pb2.GetAssessmentRequest(task_id=task_id, round=round)
        with _translated("GetAssessment"):
            return await self._assessments.GetAssessment(request)

    async def model_info(self, task_id: int, version: int) -> models_pb2.ModelInfo:
        """Where a model is and what it commits to. Raises UnknownTask, UnknownModel."""
        with _translated("GetModelInfo"):
            request = models_pb2.GetModelInfoRequest(task_id=task_id, version=version)
            return (await self._models.GetModelInfo(request)).model

    async def download_model(self, task_id: int, version: int, *, limit_bytes: int) -> bytes:
        """A model's bytes, unchecked but for their number. Raises UnknownTask, UnknownModel, InvalidDownload."""

        def parts(wanted: Range) -> AsyncIterator[models_pb2.DownloadModelResponse]:
            request = models_pb2.DownloadModelRequest(task_id=task_id, version=version, range=wanted)
            return self._models.DownloadModel(request).__aiter__()

        return await self._download(parts, limit_bytes)

    async def manifest(self, task_id: int, version: int) -> Manifest:
        """What the round that made a model left in the store, unchecked.

        Raises:
            UnknownTask, UnknownModel: there is none of this version yet; the genesis model has none.
            InvalidDownload: it is no manifest, or another round's.
        """
        request = models_pb2.GetModelInfoRequest(task_id=task_id, version=version)
        with _translated("GetModelInfo"):
            data = (await self._models.GetModelInfo(request)).manifest
        if not data:
            raise UnknownModel(f"version: model {version} of task {task_id} has no manifest yet", field="version")
        try:
            manifest = decode_manifest(data)
        except MalformedObject as error:
            raise InvalidDownload(f"manifest: {error}") from error
        if (manifest.task_id, manifest.round + 1) != (task_id, version):
            raise InvalidDownload(f"manifest: it is round {manifest.round}'s of task {manifest.task_id}")
        return manifest

    async def upload_genesis(self, task_id: int, data: bytes, signer: CallSigner) -> models_pb2.ModelInfo:
        """Sends the genesis model of a task that the signer owns; goes on where a broken attempt stopped.

        Raises:
            UnknownTask, NotOwner, MalformedContent.
        """

        async def attempt(start_bytes: int) -> models_pb2.ModelInfo:
            def messages() -> Iterator[models_pb2.UploadGenesisRequest]:
                header = models_pb2.GenesisHeader(task_id=task_id, size_bytes=len(data))
                call = signer.sign(UPLOAD_GENESIS, header, task_id=task_id)
                yield models_pb2.UploadGenesisRequest(header=call)
                for chunk in wire.chunks(data, start_bytes):
                    yield models_pb2.UploadGenesisRequest(chunk=chunk)

            return (await self._models.UploadGenesis(messages())).model

        async def received_bytes() -> int:
            request = models_pb2.GetGenesisStatusRequest(task_id=task_id)
            return (await self._models.GetGenesisStatus(request)).received_bytes

        return await self._signed(signer, lambda: _resumed(attempt, received_bytes, len(data)))

    async def download_proof(self, task_id: int, round: int, layer: proofs_pb2.ProofLayer.ValueType) -> Proof:
        """A proof, unchecked. Raises UnknownTask, UnknownProof, InvalidDownload."""

        def parts(wanted: Range) -> AsyncIterator[proofs_pb2.DownloadProofResponse]:
            request = proofs_pb2.DownloadProofRequest(task_id=task_id, round=round, layer=layer, range=wanted)
            return self._proofs.DownloadProof(request).__aiter__()

        raw = await self._download(parts, MAX_PROOF_BYTES)
        try:
            return Proof.from_json(raw.decode())
        except (FieldError, UnicodeDecodeError) as error:
            raise InvalidDownload(f"proof: {error}") from error

    # ----------------------------------------------------------------- private

    async def _received_bytes(self, header: updates_pb2.UpdateHeader, signer: CallSigner) -> int:
        request = updates_pb2.GetUploadStatusRequest(
            task_id=header.task_id, round=header.round, trainer=wire.address_bytes(signer.address), cid=header.cid
        )
        return (await self._updates.GetUploadStatus(request)).received_bytes

    async def _download(self, parts: Callable[[Range], AsyncIterator["_Part"]], limit_bytes: int) -> bytes:
        """All bytes of an object; a broken stream is resumed where it broke."""
        data = bytearray()

        async def rest() -> None:
            assembly = wire.Assembly(limit_bytes, len(data))
            try:
                async for part in parts(Range(offset_bytes=len(data))):
                    data.extend(assembly.take(part.chunk))
            except InvalidChunk as error:
                raise InvalidDownload(error.message) from error

        await self._insist(rest)
        return bytes(data)

    async def _signed(self, signer: CallSigner, action: Callable[[], Awaitable[T]]) -> T:
        """Makes a call that is signed anew each time, once more by the aggregator's clock where the clocks differ."""
        try:
            return await self._insist(action)
        except ClockSkew as skew:
            if not signer.correct(skew):
                raise
        return await self._insist(action)

    async def _insist(self, action: Callable[[], Awaitable[T]]) -> T:
        """Makes a call that the channel cannot repeat, again for as long as the patience lasts."""
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


async def _resumed(
    attempt: Callable[[int], Awaitable[T]], received_bytes: Callable[[], Awaitable[int]], size_bytes: int
) -> T:
    """An upload from where it stopped."""
    start_bytes = min(size_bytes, await received_bytes())
    try:
        return await attempt(start_bytes)
    except grpc.aio.AioRpcError as error:
        # What was there from before may have been damaged: it is gone now, and the whole may pass.
        if start_bytes and isinstance(from_error(error), ContentMismatch | MalformedContent):
            return await attempt(0)
        raise


class _Part(Protocol):
    """A message of a download."""

    @property
    def chunk(self) -> Chunk: ...


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
    return isinstance(error, ChainDown | Draining | RateLimited | StoreDown | TooManyStreams | TooManyUploads)
