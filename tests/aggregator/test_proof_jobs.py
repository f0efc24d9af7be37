"""What an aggregator says of its jobs, and that it refuses what it could not prove."""

import asyncio
import threading
from typing import Any

import grpc
import pytest
from merit.v1.jobs_pb2 import Job, JobKind, JobState, ListJobsRequest, WatchJobsRequest
from merit.v1.jobs_pb2_grpc import JobsServiceStub

from aggregator.config import AggregatorConfig
from aggregator.errors import JobTooLarge
from aggregator.policy import check_memory
from aggregator.records import Step
from circuits.errors import ProofCancelled
from circuits.linear import update_argument
from circuits.proof import Proof
from clients.service import AggregatorClient
from process.configuration import parse
from process.errors import ConfigurationError
from protocol import refusals
from protocol.terms import UnacceptableTerms
from tests.stage import STATEMENT, TRAINERS, Stage


class Held:
    """Stands in the update argument's place, until it is let go.

    Attributes:
        begun: once a proof is under way. go: lets it be made.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self._honest = update_argument.prove
        monkeypatch.setattr(update_argument, "prove", self._prove)

    def _prove(self, *args: Any, progress: Any, **named: Any) -> Proof:
        while not self.go.is_set():
            if progress("running sum", 1, 2) is False:
                raise ProofCancelled("it was cancelled")
            self.begun.set()
            self.go.wait(0.05)
        return self._honest(*args, progress=progress, **named)


def stub(client: AggregatorClient) -> Any:
    return JobsServiceStub(client._channel)


async def test_jobs_are_listed_and_watched(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch)
    async with stage.running() as (_, client):
        first, second = await stage.open_task(client, rounds=1), await stage.open_task(client, rounds=1)
        assert (await stub(client).ListJobs(ListJobsRequest())).jobs == []
        await stage.send(client, first, 0)
        assert await asyncio.to_thread(held.begun.wait, 60)
        seen: list[list[Job]] = []

        async def watch() -> None:
            async for answer in stub(client).WatchJobs(WatchJobsRequest(task_id=second)):
                seen.append(list(answer.jobs))
                if seen[-1]:
                    held.go.set()
                if any(seen) and not seen[-1]:
                    return

        watching = asyncio.create_task(watch())
        await stage.send(client, second, 0)
        await stage.reached(client, second, 0, Step.PUBLISHED)
        async with asyncio.timeout(60):
            await watching
        listed = (await stub(client).ListJobs(ListJobsRequest())).jobs
        assert list(listed) == []
    job = next(jobs for jobs in seen if jobs)[0]
    assert (job.task_id, job.round, job.kind, job.state) == (
        second,
        0,
        JobKind.JOB_KIND_LINEAR,
        JobState.JOB_STATE_QUEUED,
    )
    assert job.queue_place == 1
    assert job.memory_bytes > update_argument.peak_bytes(STATEMENT.logrows)
    assert all(found.task_id == second for jobs in seen for found in jobs)


async def test_how_far_a_job_is(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch)
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client, rounds=1)
        await stage.send(client, task_id, 0)
        assert await asyncio.to_thread(held.begun.wait, 60)
        async for answer in stub(client).WatchJobs(WatchJobsRequest()):
            if answer.jobs and answer.jobs[0].stage:
                break
        (job,) = (await stub(client).ListJobs(ListJobsRequest(task_id=task_id))).jobs
        assert (job.state, job.stage, job.done, job.total) == (JobState.JOB_STATE_RUNNING, "running sum", 1, 2)
        assert (job.attempt, job.queue_place) == (1, 0)
        held.go.set()
        await stage.reached(client, task_id, 0, Step.PUBLISHED)


async def test_jobs_of_an_unknown_task(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.create_task()
        for method, request in (("ListJobs", ListJobsRequest), ("WatchJobs", WatchJobsRequest)):
            call = getattr(stub(client), method)(request(task_id=task_id + 1))
            with pytest.raises(grpc.aio.AioRpcError, match="serves no task") as caught:
                _ = await call if method == "ListJobs" else [answer async for answer in call]
            assert isinstance(refusals.from_error(caught.value), refusals.UnknownTask)


class Room:
    """Jobs of a machine with so much memory."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes

    def require_fits(self, memory_bytes: int) -> None:
        if memory_bytes > self._budget_bytes:
            raise JobTooLarge(memory_bytes, self._budget_bytes)


@pytest.mark.parametrize(("budget_bytes", "field"), [(1 << 26, "k"), (1 << 28, "slots")])
def test_tasks_whose_proofs_would_not_fit_are_refused(budget_bytes: int, field: str, stage: Stage) -> None:
    check_memory(stage.task_config(), Room(1 << 30))  # type: ignore[arg-type]
    with pytest.raises(UnacceptableTerms, match="proof_memory_bytes") as caught:
        check_memory(stage.task_config(), Room(budget_bytes))  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.slow
async def test_and_no_bond_is_posted_for_them(stage: Stage) -> None:
    stage.budget_bytes = 1 << 26
    async with stage.running() as (_, client):
        task_id = await stage.create_task(joined=TRAINERS)
        with pytest.raises(refusals.InvalidField, match="proof_memory_bytes"):
            await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)


def test_the_cluster_is_named_by_file_or_environment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stage.config().ray_address is None
    monkeypatch.setenv("MERIT_RAY_ADDRESS", "head:6379")
    assert stage.config().ray_address == "head:6379"
    assert stage.config(ray_address="other:6379").ray_address == "other:6379"


@pytest.mark.parametrize("field", ["proof_workers", "proof_memory_bytes"])
def test_limits_of_the_pool(field: str, stage: Stage) -> None:
    content = stage.config().model_dump() | {field: 0}
    with pytest.raises(ConfigurationError) as caught:
        parse(AggregatorConfig, content)
    assert caught.value.field == field
