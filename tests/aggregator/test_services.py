"""The services over a real channel: what they hand out, in parts, and what they do when callers break off."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from merit.v1.models_pb2 import DownloadModelRequest, UploadGenesisRequest
from merit.v1.proofs_pb2 import DownloadProofRequest, ProofLayer
from merit.v1.rounds_pb2 import RoundStep, WatchRoundsRequest
from merit.v1.tasks_pb2 import GetTaskRequest
from merit.v1.tasks_pb2_grpc import TasksServiceStub
from merit.v1.types_pb2 import Chunk, Range
from merit.v1.updates_pb2 import UploadUpdateRequest

from aggregator.records import Report, Step
from aggregator.server import SERVICES
from aggregator.service import Aggregator
from clients.service import AggregatorClient
from contracts.bindings import sign_create_task
from protocol import refusals, wire
from protocol.calls import CallSigner
from tests.aggregator.test_intake import chunk_part, genesis_parts, header_part, send_parts
from tests.stage import REWARD_WEI, STATEMENT, Stage, Update

Running = tuple[Aggregator, AggregatorClient]


@pytest.fixture
async def running(stage: Stage) -> AsyncIterator[Running]:
    async with stage.running(idle_seconds=60) as pair:
        yield pair


@pytest.fixture
def client(running: Running) -> AggregatorClient:
    return running[1]


@pytest.fixture
async def task_id(stage: Stage, client: AggregatorClient) -> int:
    return await stage.open_task(client)


@pytest.fixture
def update(stage: Stage, task_id: int) -> Update:
    return stage.update(task_id, 0, stage.trainers[0], stage.draw(1))


async def received_bytes(client: AggregatorClient, update: Update) -> int:
    header = update.header
    return await client.upload_status(header.task_id, header.round, update.signer.address, header.cid)


async def until_received(client: AggregatorClient, update: Update, count: int) -> None:
    async with asyncio.timeout(60):
        while await received_bytes(client, update) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def broken_off(client: AggregatorClient, update: Update, sent_bytes: int) -> None:
    """An upload whose connection ends after some bytes."""
    half = [header_part(update), chunk_part(0, update.data[:sent_bytes])]

    async def messages() -> AsyncIterator[UploadUpdateRequest]:
        for part in half:
            yield part
        await asyncio.sleep(60)

    call = asyncio.ensure_future(client._updates.UploadUpdate(messages()))
    await until_received(client, update, sent_bytes)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


# ---------------------------------------------------------------- uploads


async def test_a_broken_upload_goes_on_where_it_stopped(
    client: AggregatorClient, update: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    await broken_off(client, update, 100)
    offsets = []
    take = wire.Assembly.take

    def seen(self: wire.Assembly, chunk: wire.Chunk) -> bytes:
        offsets.append(chunk.offset_bytes)
        return take(self, chunk)

    monkeypatch.setattr(wire.Assembly, "take", seen)
    receipt = await client.upload_update(update.header, update.data, update.signer)
    assert (offsets, receipt.cid) == ([100], update.header.cid)
    assert await received_bytes(client, update) == 0, "it is in the store now"


async def test_a_broken_upload_outlives_a_restart(stage: Stage) -> None:
    async with stage.running() as (_, client):
        update = stage.update(await stage.open_task(client), 0, stage.trainers[0], stage.draw(1))
        await broken_off(client, update, 100)
    async with stage.running() as (_, client):
        assert await received_bytes(client, update) == 100
        await client.upload_update(update.header, update.data, update.signer)


async def test_an_upload_may_begin_again(client: AggregatorClient, update: Update) -> None:
    await broken_off(client, update, 100)
    await send_parts(client, header_part(update), chunk_part(0, update.data))


async def test_a_header_alone_drops_nothing(client: AggregatorClient, update: Update) -> None:
    await broken_off(client, update, 100)
    with pytest.raises(refusals.TruncatedUpload):
        await send_parts(client, header_part(update))
    assert await received_bytes(client, update) == 100


async def test_damaged_parts_are_dropped_and_the_whole_passes(
    running: Running, client: AggregatorClient, update: Update
) -> None:
    await broken_off(client, update, 100)
    [path] = [p for p in (running[0].tools.config.data_directory / "partials").rglob("*") if p.is_file()]
    await asyncio.to_thread(path.write_bytes, bytes(100))
    receipt = await client.upload_update(update.header, update.data, update.signer)
    assert receipt.cid == update.header.cid


async def test_what_is_kept_is_what_was_checked(
    running: Running, client: AggregatorClient, update: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that change on the disk after they came are not acknowledged."""
    with monkeypatch.context() as patch:
        patch.setattr("aggregator.checks.answer", lambda question: question.path.write_bytes(b"other") and None)
        with pytest.raises(refusals.ContentMismatch):
            await send_parts(client, header_part(update), chunk_part(0, update.data))
    assert running[0].tools.state.update(update.header.task_id, 0, update.signer.address) is None
    await client.upload_update(update.header, update.data, update.signer)


async def test_another_trainer_cannot_go_on_with_it(stage: Stage, client: AggregatorClient, update: Update) -> None:
    await broken_off(client, update, 100)
    other = replace(update, signer=CallSigner(stage.trainers[1], stage.market.domain))
    assert await received_bytes(client, other) == 0
    with pytest.raises(refusals.InvalidSignature):
        await send_parts(client, header_part(other), chunk_part(100, update.data[100:]))
    assert await received_bytes(client, update) == 100


async def test_the_seal_ends_uploads_under_way_and_their_parts(
    stage: Stage, running: Running, client: AggregatorClient, update: Update
) -> None:
    aggregator, task_id, sealed = running[0], update.header.task_id, asyncio.Event()

    async def messages() -> AsyncIterator[UploadUpdateRequest]:
        yield header_part(update)
        yield chunk_part(0, update.data[:100])
        await sealed.wait()
        yield chunk_part(100, update.data[100:200])
        await asyncio.sleep(60)

    call = asyncio.ensure_future(client._insist(lambda: client._updates.UploadUpdate(messages())))
    await until_received(client, update, 100)
    report = Report(task_id=task_id, round=0, step=Step.SEALED, finished_at_seconds=1, seconds=0)
    await asyncio.to_thread(aggregator.tools.state.seal, report)
    await aggregator.registry.tasks[task_id].notify()
    sealed.set()
    with pytest.raises(refusals.LateUpdate):
        await call
    assert aggregator.server is not None
    intake = aggregator.server.intake
    await asyncio.to_thread(intake.partials.sweep, intake.collects)
    assert await received_bytes(client, update) == 0
    assert not intake.collects(task_id, 1), "it has not begun"


async def test_the_seal_ends_uploads_that_wait_for_their_check(
    running: Running, client: AggregatorClient, update: Update
) -> None:
    aggregator, task_id = running[0], update.header.task_id
    assert aggregator.server is not None
    intake = aggregator.server.intake
    async with intake.checks.turn:
        upload = asyncio.ensure_future(send_parts(client, header_part(update), chunk_part(0, update.data)))
        await until_received(client, update, len(update.data))
        report = Report(task_id=task_id, round=0, step=Step.SEALED, finished_at_seconds=1, seconds=0)
        await asyncio.to_thread(aggregator.tools.state.seal, report)
        assert await asyncio.to_thread(intake.partials.sweep, intake.collects) == 1
    with pytest.raises(refusals.LateUpdate):
        await upload


async def test_an_upload_below_the_least_rate_is_ended(stage: Stage) -> None:
    async with stage.running(idle_seconds=0.5, min_upload_bytes_per_second=10_000) as (_, client):
        update = stage.update(await stage.open_task(client), 0, stage.trainers[0], stage.draw(1))

        async def messages() -> AsyncIterator[UploadUpdateRequest]:
            yield header_part(update)
            for offset in range(len(update.data)):
                yield chunk_part(offset, update.data[offset : offset + 1])
                await asyncio.sleep(0.1)

        with pytest.raises(refusals.SlowUpload):
            async with asyncio.timeout(20):
                await client._insist(lambda: client._updates.UploadUpdate(messages()))
        await client.upload_update(update.header, update.data, update.signer)


async def test_a_genesis_upload_has_the_same_least_rate(stage: Stage) -> None:
    async with stage.running(idle_seconds=0.5, min_upload_bytes_per_second=100) as (_, client):
        task_id = await stage.create_task()

        async def messages(step_bytes: int) -> AsyncIterator[UploadGenesisRequest]:
            for part in genesis_parts(stage, task_id):
                yield part
            for offset in range(0, len(stage.genesis_data), step_bytes):
                data = stage.genesis_data[offset : offset + step_bytes]
                yield UploadGenesisRequest(chunk=Chunk(offset_bytes=offset, data=data))
                await asyncio.sleep(0.1)

        with pytest.raises(refusals.SlowUpload):
            async with asyncio.timeout(20):
                await client._insist(lambda: client._models.UploadGenesis(messages(1)))
        await client._insist(lambda: client._models.UploadGenesis(messages(400)))


async def test_more_bytes_than_the_rate_wait_and_pass(stage: Stage) -> None:
    """Back-pressure, not a refusal: and what the service waits is not held against the upload."""
    limits = {"upload_bytes_per_second": 300, "idle_seconds": 0.5, "min_upload_bytes_per_second": 400}
    async with stage.running(**limits) as (_, client):
        update = stage.update(await stage.open_task(client), 0, stage.trainers[0], stage.draw(1))
        parts = [chunk_part(at, update.data[at : at + 200]) for at in range(0, len(update.data), 200)]
        await send_parts(client, header_part(update), *parts)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 4 MiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", directory], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here; a limit on files' sizes stands in, in test_partials.py")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def fill(path: Path) -> None:
    """A file that takes all the room that there is."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


async def test_a_full_disk_is_said_and_nothing_is_lost(stage: Stage, small_disk: Path) -> None:
    async with stage.running(data_directory=small_disk / "aggregator") as (aggregator, client):
        task_id = await stage.open_task(client)
        first, second = (stage.update(task_id, 0, stage.trainers[i], stage.draw(i)) for i in (0, 1))
        receipt = await client.upload_update(first.header, first.data, first.signer)
        await asyncio.to_thread(fill, small_disk / "filler")
        with pytest.raises(refusals.DiskFull):
            await client.upload_update(second.header, second.data, second.signer)
        assert await client.receipt(task_id, 0, stage.trainers[0].address) == receipt
        (small_disk / "filler").unlink()
        await client.upload_update(second.header, second.data, second.signer)
        assert len(aggregator.tools.state.updates(task_id, 0)) == 2


# ----------------------------------------------------------- what is handed out


async def settled(stage: Stage, client: AggregatorClient, task_id: int) -> list[Update]:
    sent = await stage.send(client, task_id, 0)
    await stage.reached(client, task_id, 0, RoundStep.ROUND_STEP_PUBLISHED)
    return sent


async def test_an_assessment_says_what_was_proven_and_paid(
    stage: Stage, client: AggregatorClient, task_id: int
) -> None:
    with pytest.raises(refusals.UnknownAssessment):
        await client.assessment(task_id, 0)
    with pytest.raises(refusals.UnknownRound):
        await client.assessment(task_id, 1)
    sent = await settled(stage, client, task_id)
    found = await client.assessment(task_id, 0)
    on_chain = await asyncio.to_thread(stage.market.round, task_id, 0)
    assert [outcome.cid for outcome in found.outcomes] == [update.header.cid for update in sent]
    assert tuple(int(outcome.accepted) for outcome in found.outcomes) == on_chain.accept[: len(sent)]
    assert tuple(outcome.score for outcome in found.outcomes) == on_chain.scores[: len(sent)]
    assert [int(outcome.paid_wei) for outcome in found.outcomes] == list(on_chain.paid_wei)
    assert (found.rule_name, found.rule_vka) == (STATEMENT.rule.name, stage.task_config().rule_vka)
    assert await asyncio.to_thread(stage.chain.receipt, found.settlement) is not None
    assert found.linear_proof != found.rule_proof != b""


async def test_receipts_come_one_by_one_or_all(stage: Stage, client: AggregatorClient, task_id: int) -> None:
    sent = await stage.send(client, task_id, 0)
    everyone = await client.receipts(task_id, 0)
    assert [receipt.cid for receipt in everyone] == [update.header.cid for update in sent]
    assert await client.receipts(task_id, 0, offset=1, length=2) == everyone[1:3]
    assert await client.receipts(task_id, 0, offset=99) == []
    assert await client.receipt(task_id, 0, stage.trainers[2].address) == everyone[2]
    with pytest.raises(refusals.UnknownUpdate):
        await client.receipt(task_id, 0, stage.outsider.address)


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (0, 10), (100, 10), (100, 0)])
async def test_a_part_of_a_model_is_that_part(
    offset: int, length: int, stage: Stage, client: AggregatorClient, task_id: int
) -> None:
    wanted = Range(offset_bytes=offset, length_bytes=length)
    request = DownloadModelRequest(task_id=task_id, version=0, range=wanted)
    parts = [part async for part in client._models.DownloadModel(request)]
    end = offset + length if length else None
    assert b"".join(part.chunk.data for part in parts) == stage.genesis_data[offset:end]
    assert {part.total_bytes for part in parts} == {len(stage.genesis_data)}
    assert parts[0].chunk.offset_bytes == offset


@pytest.mark.parametrize(("offset", "length"), [(10**9, 0), (0, 10**9), (2**64 - 1, 2**64 - 1)])
async def test_a_part_lies_within_the_object(offset: int, length: int, client: AggregatorClient, task_id: int) -> None:
    request = DownloadModelRequest(task_id=task_id, range=Range(offset_bytes=offset, length_bytes=length))

    async def download() -> None:
        async for _ in client._models.DownloadModel(request):
            pass

    with pytest.raises(refusals.InvalidField) as caught:
        await client._insist(download)
    assert caught.value.field.startswith("range.")


async def test_proofs_come_in_parts(stage: Stage, client: AggregatorClient, task_id: int) -> None:
    await settled(stage, client, task_id)
    layer = ProofLayer.PROOF_LAYER_RULE
    whole = [
        p.chunk.data async for p in client._proofs.DownloadProof(DownloadProofRequest(task_id=task_id, layer=layer))
    ]
    request = DownloadProofRequest(task_id=task_id, layer=layer, range=Range(offset_bytes=7, length_bytes=11))
    assert [p.chunk.data async for p in client._proofs.DownloadProof(request)] == [b"".join(whole)[7:18]]


async def test_a_broken_download_is_resumed(
    stage: Stage, client: AggregatorClient, task_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "CHUNK_BYTES", 1000)
    send, sent = wire.chunks, []

    def breaking(data: bytes, start: int = 0, end: int | None = None):  # type: ignore[no-untyped-def]
        for index, chunk in enumerate(send(data, start, end)):
            if index == 1 and len(sent) < 3:
                raise refusals.Draining("the service is stopping")
            sent.append(chunk.offset_bytes)
            yield chunk

    monkeypatch.setattr(wire, "chunks", breaking)
    assert await client.download_model(task_id, 0, limit_bytes=10**6) == stage.genesis_data
    assert sent == sorted(set(sent)), "nothing is sent twice"
    assert len(sent) > 3


async def test_a_download_that_nobody_reads_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would keep its bytes in memory, and others from theirs."""
    async with stage.running(idle_seconds=0.5) as (aggregator, client):
        task_id = await stage.open_task(client)
        monkeypatch.setattr(aggregator.tools.store, "get", lambda _: bytes(64 << 20))

        async def download() -> None:
            pause_seconds = 3
            async for _ in client._models.DownloadModel(DownloadModelRequest(task_id=task_id)):
                await asyncio.sleep(pause_seconds)
                pause_seconds = 0

        with pytest.raises(refusals.SlowUpload):
            await client._insist(download)


async def test_many_downloads_share_the_bytes(
    stage: Stage, running: Running, task_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregator, client = running
    get, reads = aggregator.tools.store.get, []

    def slow(cid: bytes) -> bytes:
        reads.append(cid)
        time.sleep(0.5)
        return get(cid)

    monkeypatch.setattr(aggregator.tools.store, "get", slow)
    models = await asyncio.gather(*(client.download_model(task_id, 0, limit_bytes=10**6) for _ in range(20)))
    assert set(models) == {stage.genesis_data}
    assert len(reads) == 1
    assert await client.download_model(task_id, 0, limit_bytes=10**6) == stage.genesis_data, "and nothing is held"
    assert len(reads) == 2


async def test_many_watchers_cost_one_look(
    stage: Stage, running: Running, task_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregator, client = running
    reports, looks = aggregator.tools.state.reports, []

    def counted(*args: object, **kwargs: object) -> object:
        if "after_cursor" in kwargs:
            looks.append(kwargs["after_cursor"])
        return reports(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(aggregator.tools.state, "reports", counted)

    async def watch() -> list[int]:
        return [r.cursor async for r in client.watch(task_id) if r.round == 0][:5]

    watchers = [asyncio.ensure_future(watch()) for _ in range(50)]
    await settled(stage, client, task_id)
    await stage.reached(client, task_id, 1, RoundStep.ROUND_STEP_COLLECTING)
    await stage.send(client, task_id, 1)
    seen = await asyncio.gather(*watchers)
    assert all(cursors == seen[0] for cursors in seen)
    assert len(looks) < 50


# ------------------------------------------------------------------ health etc.


async def test_health_is_by_service_and_ends_with_the_drain(stage: Stage) -> None:
    async with stage.running() as (aggregator, client):
        health = health_pb2_grpc.HealthStub(client._channel)
        for name in ("", *SERVICES):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICES[2]))
        seen = [(await watch.read()).status]
        # A watch of rounds keeps the server from ending at once.
        rounds = client._rounds.WatchRounds(WatchRoundsRequest(task_id=await stage.open_task(client)))
        await rounds.read()
        aggregator.stop()
        seen.append((await watch.read()).status)
        assert seen == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]


async def test_reflection_is_behind_a_flag(stage: Stage) -> None:
    for flag in (True, False):
        async with stage.running(reflection=flag) as (aggregator, _):

            def services(port: int) -> list[str]:
                with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                    return list(ProtoReflectionDescriptorDatabase(channel).get_services())

            if flag:
                assert set(SERVICES) < set(await asyncio.to_thread(services, aggregator.port))
            else:
                with pytest.raises(grpc.RpcError) as caught:
                    await asyncio.to_thread(services, aggregator.port)
                assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_limits_of_an_address_hold_on_the_wire(stage: Stage) -> None:
    async with stage.running(max_calls_per_address=3) as (aggregator, client):
        task_id = await stage.open_task(client)
        assert aggregator.server is not None
        async with asyncio.timeout(30):
            while aggregator.server.intake._limits._all_open:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        held = [client._rounds.WatchRounds(WatchRoundsRequest(task_id=task_id)) for _ in range(3)]
        for watch in held:
            await watch.read()
        with pytest.raises(refusals.TooManyStreams) as caught:
            await client.task(task_id)
        assert caught.value.retry_seconds is not None
        for watch in held:
            watch.cancel()
        async with asyncio.timeout(30):
            while True:
                try:
                    await client.task(task_id)
                    break
                except refusals.TooManyStreams:
                    await asyncio.sleep(0.05)


async def test_connections_are_bounded(stage: Stage) -> None:
    async with stage.running(max_calls=3) as (aggregator, _):
        options = [("grpc.use_local_subchannel_pool", 1)]
        target = f"127.0.0.1:{aggregator.port}"
        channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(4)]
        for channel in channels[:3]:
            await channel.channel_ready()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await channels[3].channel_ready()
        await channels[0].close(None)
        async with asyncio.timeout(60):
            await channels[3].channel_ready()
        for channel in channels[1:]:
            await channel.close(None)


async def test_the_rate_of_an_address_holds_on_the_wire(stage: Stage) -> None:
    async with stage.running(calls_per_second=0.01) as (aggregator, _):  # and none at once
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{aggregator.port}")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await TasksServiceStub(channel).GetTask(GetTaskRequest(task_id=1))
        await channel.close(None)
    refusal = refusals.from_error(caught.value)
    assert isinstance(refusal, refusals.RateLimited)
    pushback = dict(caught.value.trailing_metadata())["grpc-retry-pushback-ms"]
    assert int(pushback) == round(1000 * (refusal.retry_seconds or 0)) > 80_000


async def test_work_stops_when_the_caller_is_gone(
    running: Running, update: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that waits for its check when its deadline passes is not checked."""
    aggregator, client = running
    checked = []
    monkeypatch.setattr("aggregator.checks.answer", checked.append)
    assert aggregator.server is not None
    intake = aggregator.server.intake
    await intake.checks.turn.acquire()
    parts = [header_part(update), chunk_part(0, update.data)]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client._updates.UploadUpdate(iter(parts), timeout=1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(30):
        while intake._uploading:  # noqa: ASYNC110  (until the service has heard of it, too)
            await asyncio.sleep(0.01)
    intake.checks.turn.release()
    await asyncio.sleep(0.1)
    assert not checked


# ------------------------------------------------------------- creating a task


async def raw_creation(stage: Stage, **changes: object) -> bytes:
    config = stage.task_config(**changes)
    return await asyncio.to_thread(sign_create_task, stage.market, stage.owner, config)


async def test_a_task_is_created_once_its_terms_are_looked_at(stage: Stage, client: AggregatorClient) -> None:
    before = await asyncio.to_thread(stage.market.task_count)
    raw = await raw_creation(stage)
    task_id = await client.create_task(raw, stage.owner_signer)
    assert task_id == before + 1
    view = await asyncio.to_thread(stage.market.task, task_id)
    assert (view.owner, view.config) == (stage.owner.address, stage.task_config())
    assert await client.create_task(raw, stage.owner_signer) == task_id, "again gives the same"
    assert await asyncio.to_thread(stage.market.task_count) == task_id


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"settle_window_seconds": 10}, "settle_window_seconds"),
        ({"update_key": b"\1" * 32}, "update_key"),
        ({"reward_per_round_wei": REWARD_WEI, "target_norm": 2**95}, "target_norm"),
        ({"aggregator": "0x" + "22" * 20}, "aggregator"),
    ],
)
async def test_terms_that_would_not_be_served_escrow_nothing(
    changes: dict[str, object], field: str, stage: Stage, client: AggregatorClient
) -> None:
    before = (
        await asyncio.to_thread(stage.market.task_count),
        await asyncio.to_thread(stage.chain.balance_wei, stage.owner.address),
    )
    with pytest.raises(refusals.TermsRefused) as caught:
        await client.create_task(await raw_creation(stage, **changes), stage.owner_signer)
    assert caught.value.field == field
    assert before == (
        await asyncio.to_thread(stage.market.task_count),
        await asyncio.to_thread(stage.chain.balance_wei, stage.owner.address),
    )


async def test_only_the_senders_own_createtask_of_this_market_is_relayed(
    stage: Stage, client: AggregatorClient
) -> None:
    raw = await raw_creation(stage)
    base = {"gas": 10**6, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1, "nonce": 0, "value": REWARD_WEI * 2}
    chain_id, market = stage.chain.chain_id, stage.market.address
    join = stage.market._fn.joinTask(1, [])._encode_transaction_data()

    def signed(**fields: object) -> bytes:
        return bytes(stage.owner.sign_transaction(base | fields).raw_transaction)

    data = stage.market.create_task_call(stage.task_config())[0]._encode_transaction_data()
    cases = {
        "empty": (b"", stage.owner_signer),
        "junk": (b"\2junk", stage.owner_signer),
        "too long": (bytes(17 << 10), stage.owner_signer),
        "another's": (raw, CallSigner(stage.outsider, stage.market.domain)),
        "another chain": (signed(to=market, chainId=chain_id + 1, data=data), stage.owner_signer),
        "another contract": (signed(to=stage.verifier, chainId=chain_id, data=data), stage.owner_signer),
        "another call": (signed(to=market, chainId=chain_id, data=join), stage.owner_signer),
        "another value": (signed(to=market, chainId=chain_id, data=data, value=1), stage.owner_signer),
        "a spent nonce": (signed(to=market, chainId=chain_id, data=data), stage.owner_signer),
        "truncated data": (signed(to=market, chainId=chain_id, data=data[:200]), stage.owner_signer),
    }
    before = await asyncio.to_thread(stage.market.task_count)
    for name, (transaction, signer) in cases.items():
        with pytest.raises(refusals.TransactionRefused) as caught:
            await client.create_task(transaction, signer)
        assert caught.value.field == "raw_transaction", name
    assert await asyncio.to_thread(stage.market.task_count) == before


async def test_a_creation_that_reverts_is_refused_before_it_is_sent(stage: Stage, client: AggregatorClient) -> None:
    raw = await raw_creation(stage)
    # The nonce is spent by another transaction meanwhile.
    await asyncio.to_thread(stage.chain.transfer, stage.owner, stage.owner.address, 1)
    with pytest.raises(refusals.TransactionRefused, match="nonce"):
        await client.create_task(raw, stage.owner_signer)
