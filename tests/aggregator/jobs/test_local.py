"""Real proofs in processes of this machine."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.errors import JobFailed
from aggregator.jobs import Jobs
from aggregator.jobs.local import Directories, LocalPool
from circuits.errors import CommitmentMismatch, ProverError
from circuits.prover import Prover
from circuits.worker import Worker
from process.logs import get
from tests.aggregator.jobs.arguments import RULE, Arguments, rule_job
from tests.aggregator.jobs.test_jobs import cancelled, until

pytestmark = pytest.mark.slow

LONG_LOGROWS = 14  # so that a proof takes long enough to look at it


@pytest.fixture
def arguments(prover: Prover, tmp_path: Path) -> Arguments:
    return Arguments(tmp_path / "objects", prover.srs(11))


@pytest.fixture
def long_arguments(prover: Prover, tmp_path: Path) -> Arguments:
    return Arguments(tmp_path / "objects", prover.ensure_test_srs(LONG_LOGROWS, provable=True))


@pytest.fixture
def running(prover: Prover, tmp_path: Path) -> Callable[..., object]:
    @asynccontextmanager
    async def run(*, workers: int = 1, silence_seconds: float = 300) -> AsyncIterator[tuple[Jobs, list[Worker]]]:
        directories = Directories(store=str(tmp_path / "objects"), srs=prover.srs_directory, keys=prover.keys_directory)
        pool = LocalPool(directories=directories, workers=workers, silence_seconds=silence_seconds)
        jobs = Jobs(pool, get())
        await jobs.open()
        try:
            yield jobs, [seat._worker for seat in pool.seats]
        finally:
            await jobs.drain()
            await asyncio.to_thread(jobs.close)

    return run


async def test_proofs_are_made_at_the_same_time(running: Callable, long_arguments: Arguments) -> None:  # type: ignore[type-arg]
    work = [long_arguments.draw(round, columns=8, dim=12_000) for round in range(3)]
    async with running(workers=2) as (jobs, _):
        proving = [asyncio.create_task(jobs.prove(job)) for job in work]
        # Two have told of a step, and neither is done.
        views = await until(jobs, lambda views: sum(bool(view.stage) for view in views) == 2)
        assert len({view.worker for view in views if view.stage}) == 2
        for job, proof in zip(work, await asyncio.gather(*proving), strict=True):
            long_arguments.check(job, proof)


async def test_every_worker_draws_its_own_blinding(running: Callable, arguments: Arguments) -> None:  # type: ignore[type-arg]
    job = arguments.draw(1)
    async with running(workers=2) as (jobs, workers):
        proofs = await asyncio.gather(*(jobs.prove(job) for _ in range(4)))
        assert len({worker.pid for worker in workers}) == 2
    assert len({proof.data for proof in proofs}) == 4
    for proof in proofs:
        arguments.check(job, proof)


async def test_a_sum_is_read_as_it_is_stored(running: Callable, arguments: Arguments) -> None:  # type: ignore[type-arg]
    job = arguments.draw(2, form="model")
    async with running() as (jobs, _):
        arguments.check(job, await jobs.prove(job))


async def test_a_killed_worker_costs_nothing_but_time(running: Callable, long_arguments: Arguments) -> None:  # type: ignore[type-arg]
    job = long_arguments.draw(3, columns=8, dim=12_000)
    async with running() as (jobs, (worker,)):
        proving = asyncio.create_task(jobs.prove(job))
        await until(jobs, lambda views: any(view.stage for view in views))
        os.kill(worker.pid, signal.SIGKILL)
        long_arguments.check(job, await proving)
        assert jobs.snapshot().ended["linear", "lost"].count == 1


async def test_a_hanging_worker_is_ended(running: Callable, arguments: Arguments) -> None:  # type: ignore[type-arg]
    job = arguments.draw(4)
    async with running(silence_seconds=20) as (jobs, (worker,)):
        await jobs.prove(job)
        os.kill(worker.pid, signal.SIGSTOP)
        arguments.check(job, await jobs.prove(job))
        assert jobs.snapshot().ended["linear", "lost"].count == 1


async def test_a_job_that_always_kills_its_worker_is_given_up(running: Callable, arguments: Arguments) -> None:  # type: ignore[type-arg]
    job = arguments.draw(5)
    async with running(silence_seconds=0.001) as (jobs, _):
        with pytest.raises(JobFailed, match="no result after"):
            await jobs.prove(job)


async def test_an_unwanted_argument_ends_and_leaves_its_worker_warm(
    running: Callable,  # type: ignore[type-arg]
    long_arguments: Arguments,
) -> None:
    job = long_arguments.draw(6, columns=8, dim=12_000)
    async with running() as (jobs, (worker,)):
        proving = asyncio.create_task(jobs.prove(job))
        await until(jobs, lambda views: any(view.stage for view in views))
        pid = worker.pid
        await cancelled(proving)
        await until(jobs, lambda views: not views)
        long_arguments.check(job, await jobs.prove(job))
        assert worker.pid == pid


async def test_an_unwanted_rule_proof_ends_with_its_worker(running: Callable, prover: Prover) -> None:  # type: ignore[type-arg]
    job = rule_job(prover, 1)
    async with running() as (jobs, (worker,)):
        proving = asyncio.create_task(jobs.prove(job))
        await until(jobs, lambda views: bool(views) and worker.pid is not None)
        await cancelled(proving)
        await until(jobs, lambda views: not views)
        assert jobs.snapshot().ended["rule", "cancelled"].count == 1
        proof = await jobs.prove(job)
    accept, score = reference(job.inputs)
    assert list(proof.instances) == [*(x for vector in job.inputs for x in vector), *accept, *score]
    prover.verify(RULE.rule_circuit, proof)


def reference(inputs: tuple[tuple[int, ...], ...]) -> tuple[list[int], list[int]]:
    from circuits.linear.gram import full_matrix

    return RULE.rule.reference(full_matrix(inputs[0], RULE.slots), list(inputs[1]), **RULE.rule_params)


async def test_no_proof_under_other_keys_than_the_tasks(running: Callable, prover: Prover) -> None:  # type: ignore[type-arg]
    async with running() as (jobs, _):
        with pytest.raises(ProverError, match="the task pins"):
            await jobs.prove(rule_job(prover, 1, vka_digest=bytes(32)))


async def test_no_proof_about_other_bytes(running: Callable, arguments: Arguments) -> None:  # type: ignore[type-arg]
    """What a worker reads is what its CID says, and opens the commitment."""
    job, other = arguments.draw(7), arguments.draw(8)
    swapped = replace(job, columns=(other.columns[0], *job.columns[1:]))
    async with running() as (jobs, _):
        with pytest.raises(CommitmentMismatch):
            await jobs.prove(swapped)
        path = arguments.store._path(job.columns[0].cid)
        path.write_bytes(arguments.store.get(other.columns[0].cid))
        with pytest.raises(ProverError, match="CorruptContent"):
            await jobs.prove(job)
        path.unlink()
        with pytest.raises(ProverError, match="NotFound"):
            await jobs.prove(job)


@pytest.mark.parametrize(("logrows", "columns"), [(14, 2), (16, 12)])
async def test_an_argument_takes_no_more_memory_than_it_is_counted_for(
    running: Callable,  # type: ignore[type-arg]
    logrows: int,
    columns: int,
    prover: Prover,
    tmp_path: Path,
) -> None:
    arguments = Arguments(tmp_path / "objects", prover.ensure_test_srs(logrows, provable=True))
    job = arguments.draw(9, columns=columns, dim=(1 << logrows) - 600)
    async with running() as (jobs, (worker,)):
        arguments.check(job, await jobs.prove(job))
        assert peak_bytes(worker.pid) <= job.memory_bytes


async def test_a_rule_takes_no_more_memory_than_it_is_counted_for(running: Callable, prover: Prover) -> None:  # type: ignore[type-arg]
    job = rule_job(prover, 2)
    async with running() as (jobs, (worker,)):
        await jobs.prove(job)
        assert peak_bytes(worker.pid) <= job.memory_bytes


def peak_bytes(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
