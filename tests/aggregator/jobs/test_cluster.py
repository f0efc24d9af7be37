"""Real proofs on a Ray cluster of this machine, joined by its address as an operator would."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from aggregator.errors import JobTooLarge
from aggregator.jobs import Jobs
from aggregator.jobs.cluster import RayPool
from aggregator.jobs.local import Directories, LocalPool
from circuits.errors import CommitmentMismatch
from circuits.linear.gram import full_matrix
from circuits.prover import Prover
from process.errors import ConfigurationError
from process.logs import get
from store.local import ContentStore
from tests.aggregator.jobs.arguments import RULE, Arguments, rule_job
from tests.aggregator.jobs.test_jobs import cancelled, until

pytestmark = pytest.mark.slow

TASKS = 4
STARTS = 5


def started(directory: str, environment: dict[str, str]) -> tuple["subprocess.Popen[str]", int]:
    """The cluster's head, and its port. On a machine with much else to do Ray gives up after half a minute."""
    path = os.pathsep.join(path for path in sys.path if path)
    said = []
    for _ in range(STARTS):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=2",
            "--node-ip-address=127.0.0.1", "--include-dashboard=false", "--disable-usage-stats",
            f"--temp-dir={directory}", "--object-store-memory=100000000",
        ]  # fmt: skip
        head = subprocess.Popen(
            command,
            env=os.environ | environment | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "RAY_worker_niceness": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        assert head.stdout is not None
        for line in head.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                return head, port
        head.wait()
    raise AssertionError("".join(said))


@pytest.fixture(scope="module")
def cluster(prover: Prover) -> Iterator[str]:
    """`ray start` with two CPUs, as a process that is ended with all of its own."""
    # Ray's sockets live there, and a path of theirs has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as directory:
        head, port = started(directory, {"MERIT_SRS": str(prover.srs_directory)})
        family = psutil.Process(head.pid).children(recursive=True)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            head.send_signal(signal.SIGTERM)
            head.communicate(timeout=120)
            for child in family:
                if child.is_running():
                    child.kill()


@asynccontextmanager
async def running(address: str, store: ContentStore, **options: object) -> AsyncIterator[tuple[Jobs, RayPool]]:
    pool = RayPool(address, store=store, workers=2, **options)  # type: ignore[arg-type]
    jobs = Jobs(pool, get())
    try:
        await jobs.open()
        yield jobs, pool
    finally:
        await jobs.drain()
        await asyncio.to_thread(jobs.close)


@pytest.fixture
def arguments(prover: Prover, tmp_path: Path) -> Arguments:
    return Arguments(tmp_path / "objects", prover.ensure_test_srs(14, provable=True))


async def test_tasks_prove_at_the_same_time_with_the_results_of_local_ones(
    cluster: str, arguments: Arguments, prover: Prover
) -> None:
    """Proofs are blinded, so that no two have the same bytes: their statements are the same, and both verify."""
    work = [arguments.draw(round, columns=8, dim=12_000) for round in range(TASKS)]
    rule = rule_job(prover, 3)
    async with running(cluster, arguments.store) as (jobs, _):
        assert jobs.elsewhere
        proving = [asyncio.create_task(jobs.prove(job)) for job in work]
        # Two have told of a step, and neither is done.
        views = await until(jobs, lambda views: sum(bool(view.stage) for view in views) == 2)
        assert len({view.worker for view in views if view.stage}) == 2
        there, rule_there = await asyncio.gather(*proving), await jobs.prove(rule)
    directories = Directories(
        store=str(arguments.store.directory), srs=prover.srs_directory, keys=prover.keys_directory
    )
    here = Jobs(LocalPool(directories=directories, workers=1), get())
    await here.open()
    try:
        for job, proof in zip(work, there, strict=True):
            local = await here.prove(job)
            arguments.check(job, proof)
            arguments.check(job, local)
            assert local.instances == proof.instances
            assert local.data != proof.data
        rule_here = await here.prove(rule)
    finally:
        await asyncio.to_thread(here.close)
    for proof in (rule_here, rule_there):
        prover.verify(RULE.rule_circuit, proof)
    assert rule_here.instances == rule_there.instances
    accept, score = RULE.rule.reference(full_matrix(rule.inputs[0], RULE.slots), list(rule.inputs[1]), f=2)
    assert list(rule_there.instances[-2 * RULE.slots :]) == accept + score


async def test_workers_that_share_no_directory_are_sent_the_bytes(
    cluster: str, arguments: Arguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs_directory = arguments.store.directory
    job = arguments.draw(11)
    async with running(cluster, arguments.store) as (jobs, _):
        # Workers look for the store where it is not.
        monkeypatch.setattr(arguments.store, "directory", Path("/nowhere"))
        monkeypatch.setattr(arguments.store, "_path", ContentStore(jobs_directory)._path)
        arguments.check(job, await jobs.prove(job))


async def test_refusals_come_back_as_they_are(cluster: str, arguments: Arguments) -> None:
    job, other = arguments.draw(12), arguments.draw(13)
    wrong = type(job)(**{**vars(job), "columns": other.columns})
    async with running(cluster, arguments.store) as (jobs, _):
        with pytest.raises(CommitmentMismatch):
            await jobs.prove(wrong)


async def test_a_killed_worker_is_replaced(cluster: str, arguments: Arguments) -> None:
    job = arguments.draw(14, columns=8, dim=12_000)
    async with running(cluster, arguments.store) as (jobs, _):
        proving = asyncio.create_task(jobs.prove(job))
        (view,) = await until(jobs, lambda views: any(view.stage for view in views))
        os.kill(int(view.worker.split()[-1]), signal.SIGKILL)
        arguments.check(job, await proving)
        assert jobs.snapshot().ended["linear", "lost"].count == 1


async def test_an_unwanted_argument_ends_and_leaves_its_worker(cluster: str, arguments: Arguments) -> None:
    job = arguments.draw(15, columns=8, dim=12_000)
    async with running(cluster, arguments.store) as (jobs, pool):
        names = {seat.name for seat in pool.seats}
        proving = asyncio.create_task(jobs.prove(job))
        await until(jobs, lambda views: any(view.stage for view in views))
        await cancelled(proving)
        await until(jobs, lambda views: not views)
        arguments.check(job, await jobs.prove(job))
        assert {seat.name for seat in pool.seats} == names


async def test_an_unwanted_rule_proof_ends_with_its_worker(cluster: str, arguments: Arguments, prover: Prover) -> None:
    async with running(cluster, arguments.store) as (jobs, _):
        proving = asyncio.create_task(jobs.prove(rule_job(prover, 4)))
        (view,) = await until(jobs, lambda views: any(view.worker for view in views))
        process = psutil.Process(int(view.worker.split()[-1]))
        await cancelled(proving)
        await asyncio.to_thread(process.wait, 60)
        await until(jobs, lambda views: not views)


async def test_two_workers_of_one_machine_share_its_memory(cluster: str, arguments: Arguments) -> None:
    job = arguments.draw(16, columns=8, dim=12_000)
    async with running(cluster, arguments.store, memory_bytes=2 * job.memory_bytes - 1) as (jobs, _):
        assert len(jobs.snapshot().budget_bytes) == 1
        proving = [asyncio.create_task(jobs.prove(job)) for _ in range(2)]
        views = await until(jobs, lambda views: len(views) == 2)
        assert [view.queue_place for view in views] == [0, 1]
        for proof in await asyncio.gather(*proving):
            arguments.check(job, proof)
        with pytest.raises(JobTooLarge):
            jobs.require_fits(2 * job.memory_bytes)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "ray://127.0.0.1:1"])
async def test_no_cluster_is_said(address: str, arguments: Arguments) -> None:
    jobs = Jobs(RayPool(address, store=arguments.store, workers=1), get())
    with pytest.raises(ConfigurationError, match=re.escape(address)) as caught:
        await jobs.open()
    assert caught.value.field == "ray_address"


def test_a_missing_extra_says_what_to_install(arguments: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'meritproof\[ray\]'"):
        RayPool("127.0.0.1:1", store=arguments.store, workers=1)
