"""What an aggregator shows of itself: scraped over HTTP, traced, and in its log lines."""

import asyncio
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import pytest
import requests
import structlog
from merit.v1 import rounds_pb2, rounds_pb2_grpc, tasks_pb2, tasks_pb2_grpc
from merit.v1.rounds_pb2 import RoundStep
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from aggregator.jobs import JobState, JobView
from aggregator.metrics import Metrics
from aggregator.observed import REQUEST_ID
from process import logs
from process.errors import ConfigurationError
from process.metrics import served
from process.tracing import Tracer
from protocol.refusals import SecondUpdate, UnknownTask
from tests.stage import TRAINERS, Stage

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(port: int) -> Samples:
    """Every sample of a real scrape, by name and labels."""
    response = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    assert response.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Returns the log lines so far when called."""
    seen: list[dict[str, Any]] = []

    def read() -> list[dict[str, Any]]:
        seen.extend(json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
        return seen

    logs.configure("debug")
    yield read
    structlog.reset_defaults()


async def metrics_port(lines: Any) -> int:
    while True:
        for line in lines():
            if line["event"] == "metrics.listening":
                return int(line["port"])
        await asyncio.sleep(0.01)


async def test_a_round_as_a_scrape_sees_it(stage: Stage, lines: Any) -> None:
    async with stage.running(metrics_port=0) as (_, client):
        port = await metrics_port(lines)
        task_id = await stage.open_task(client)
        sent = await stage.send(client, task_id, 0)
        again = stage.update(task_id, 0, stage.trainers[0], stage.draw(77))
        with pytest.raises(SecondUpdate):
            await client.upload_update(again.header, again.data, again.signer)
        await stage.reached(client, task_id, 0, RoundStep.ROUND_STEP_PUBLISHED)
        await stage.reached(client, task_id, 1, RoundStep.ROUND_STEP_COLLECTING)
        samples = scrape(port)

    upload = "/merit.v1.UpdatesService/UploadUpdate"
    assert value(samples, "merit_calls_total", method=upload, code="OK") == TRAINERS
    assert value(samples, "merit_calls_total", method=upload, code="ALREADY_EXISTS") == 1
    assert value(samples, "merit_call_seconds_count", method=upload) == TRAINERS + 1
    assert value(samples, "merit_upload_bytes_total") >= sum(len(update.data) for update in sent)
    assert value(samples, "merit_updates_total", outcome="received") == TRAINERS
    assert value(samples, "merit_updates_total", outcome="second_update") == 1
    assert value(samples, "merit_updates_total", outcome="accepted") == TRAINERS - 1
    assert value(samples, "merit_updates_total", outcome="rejected") == 1
    assert value(samples, "merit_round", task=str(task_id)) == 1
    assert value(samples, "merit_round_step", task=str(task_id)) == RoundStep.ROUND_STEP_COLLECTING
    for step in ("sealed", "committed", "linear_proven", "rule_proven", "settled", "published"):
        assert value(samples, "merit_step_seconds_count", step=step) == 1
    for layer in ("linear", "rule"):
        assert value(samples, "merit_proof_seconds_count", layer=layer) == 1
    for step in ("committed", "settled", "published"):
        assert value(samples, "merit_gas_used_total", step=step) > 21_000
    assert value(samples, "merit_tasks") >= 0
    assert (
        value(samples, "merit_proof_jobs", state="queued") == value(samples, "merit_proof_jobs", state="running") == 0
    )
    assert value(samples, "merit_chain_up") == 1
    assert value(samples, "merit_chain_head_lag_seconds") >= 0
    assert value(samples, "merit_disk_free_bytes") > 0
    assert value(samples, "process_resident_memory_bytes") > 1 << 20
    assert not any(name.startswith("merit_") and any("0x" in v for _, v in labels) for name, labels in samples)
    with pytest.raises(requests.ConnectionError):  # it ends with the service
        scrape(port)


async def test_a_node_that_is_down_is_seen(stage: Stage, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.service._SAMPLE_SECONDS", 0.05)
    async with stage.running(metrics_port=0) as (aggregator, _):
        port = await metrics_port(lines)
        aggregator.tools.chain.w3.provider.endpoint_uri = "http://127.0.0.1:1"
        async with asyncio.timeout(60):
            while value(await asyncio.to_thread(scrape, port), "merit_chain_up") != 0:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def test_a_port_that_is_taken_is_named() -> None:
    registry = Metrics().registry
    with (
        served(registry, "127.0.0.1", 0) as port,
        pytest.raises(ConfigurationError, match=str(port)) as caught,
        served(registry, "127.0.0.1", port),
    ):
        pass
    assert caught.value.field == "metrics_port"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abcdefgh-0123_XYZ", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("short", False),
        ("with space in it", False),
        ('quote"}{"event":1', False),
        ("", False),
        (None, False),
    ],
)
async def test_a_call_has_an_id(stage: Stage, lines: Any, given: str | None, kept: bool) -> None:
    async with stage.running() as (aggregator, _), grpc.aio.insecure_channel(f"127.0.0.1:{aggregator.port}") as channel:
        call = tasks_pb2_grpc.TasksServiceStub(channel).ListTasks(
            tasks_pb2.ListTasksRequest(), metadata=None if given is None else ((REQUEST_ID, given),)
        )
        await call
        returned = (await call.trailing_metadata())[REQUEST_ID]
    assert (returned == given) is kept
    assert re.fullmatch(r"[A-Za-z0-9_-]{8,64}", returned)
    done = next(line for line in lines() if line["event"] == "call.done")
    assert done["request"] == returned
    assert done["method"] == "/merit.v1.TasksService/ListTasks"
    assert done["peer"].startswith("ipv4:127.0.0.1:")
    assert done["code"] == "OK"


async def test_a_refused_call_has_its_id_in_the_answer_and_in_the_log(stage: Stage, lines: Any) -> None:
    async with (
        stage.running() as (aggregator, client),
        grpc.aio.insecure_channel(f"127.0.0.1:{aggregator.port}") as channel,
    ):
        stub = rounds_pb2_grpc.RoundsServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetRound(rounds_pb2.GetRoundRequest(task_id=999, round=7))
        with pytest.raises(UnknownTask):  # and is still the refusal that it was
            await client.round(999, 7)
    returned = caught.value.trailing_metadata()[REQUEST_ID]
    refused = next(line for line in lines() if line["event"] == "call.refused")
    assert refused["request"] == returned
    assert (refused["task"], refused["round"]) == (999, 7)


async def test_a_stream_that_is_left_is_counted_as_cancelled(stage: Stage, lines: Any) -> None:
    watch = {"method": "/merit.v1.RoundsService/WatchRounds"}
    async with (
        stage.running(metrics_port=0) as (aggregator, client),
        grpc.aio.insecure_channel(f"127.0.0.1:{aggregator.port}") as channel,
    ):
        port, task_id = await metrics_port(lines), await stage.create_task()
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        call = rounds_pb2_grpc.RoundsServiceStub(channel).WatchRounds(rounds_pb2.WatchRoundsRequest(task_id=task_id))
        await call.read()
        assert value(await asyncio.to_thread(scrape, port), "merit_calls_running", **watch) == 1
        call.cancel()
        async with asyncio.timeout(30):
            while value(samples := await asyncio.to_thread(scrape, port), "merit_calls_running", **watch):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert value(samples, "merit_calls_total", code="CANCELLED", **watch) == 1


async def test_lines_of_a_round_say_which(stage: Stage, lines: Any) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0)
        await stage.reached(client, task_id, 0, RoundStep.ROUND_STEP_PUBLISHED)
    steps = [line for line in lines() if line["event"].startswith("round.")]
    assert steps
    assert all(line["task"] == task_id and "round" in line for line in steps)
    received = [line for line in lines() if line["event"] == "update.received"]
    assert len({line["request"] for line in received}) == TRAINERS


async def test_spans_of_a_round(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("process.tracing.from_environment", lambda service: Tracer(provider))
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0)
        await stage.reached(client, task_id, 0, RoundStep.ROUND_STEP_PUBLISHED)
        with pytest.raises(UnknownTask):
            await client.round(999, 0)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {"round.seal", "round.commit", "round.prove_linear", "round.settle", "round.publish"} <= set(spans)
    linear, step = spans["proof.linear"], spans["round.prove_linear"]
    assert linear.parent is not None
    assert linear.parent.span_id == step.context.span_id
    assert step.attributes == {"merit.task": task_id, "merit.round": 0}
    upload = spans["merit.v1.UpdatesService/UploadUpdate"]
    assert upload.attributes is not None
    assert upload.attributes["rpc.grpc.status_code"] == 0
    refused = [span for span in exporter.get_finished_spans() if not span.status.is_ok]
    assert [span.status.description for span in refused if span.name.endswith("GetRound")] == ["unknown_task"]


def test_jobs_are_counted_by_their_state() -> None:
    counted, view = Metrics(), partial(
        JobView, kind="linear", task_id=1, round=0, stage="", done=0, total=0, attempt=1, memory_bytes=1, worker="",
        waited_seconds=0, seconds=0,
    )  # fmt: skip
    states = [JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]
    counted.count_jobs([view(job_id=i, state=state, queue_place=0) for i, state in enumerate(states)])
    found = {s.labels["state"]: s.value for family in counted.proof_jobs.collect() for s in family.samples}
    assert found == {"queued": 2, "running": 1, "ending": 0}
    counted.count_jobs([])
    assert {s.value for family in counted.proof_jobs.collect() for s in family.samples} == {0}
