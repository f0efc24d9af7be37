"""The course of jobs over seats that do as they are told: retries, cancellation, what is counted and seen."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from aggregator.errors import JobFailed, JobTooLarge, WorkerLost
from aggregator.jobs import Jobs, JobState, JobView, LinearJob, RuleJob
from aggregator.jobs.job import Job
from aggregator.jobs.jobs import ATTEMPTS
from aggregator.jobs.pool import Report
from circuits.bn254 import G1Point
from circuits.errors import CommitmentMismatch, ProofCancelled
from circuits.fixedpoint import FixedPoint
from circuits.proof import Proof
from process.logs import get

LINEAR = LinearJob(
    task_id=1, round=0, logrows=10, dim=1, fmt=FixedPoint(bits=8, fraction_bits=7), key=b"", context=b"",
    columns=(), points=(G1Point(1, 2),),
)  # fmt: skip
RULE = RuleJob(task_id=1, round=0, outlier="none", contribution="equal", slots=3, logrows=13, inputs=(), vka_digest=b"")
PROOF = Proof(data=b"proof", instances=(1,))


class ToldSeat:
    """Begins a job, and goes on as the test says.

    Attributes:
        begun: set by each job that begins. stopped, killed, replaced: how often.
    """

    def __init__(self, name: str = "seat", budget_bytes: int = 1 << 40) -> None:
        self.name, self.machine, self.budget_bytes = name, "here", budget_bytes
        self.begun = asyncio.Event()
        self.stopped = self.killed = self.replaced = 0
        self.polite = True
        self.outcomes: asyncio.Queue[BaseException | None] = asyncio.Queue()
        self.report: Report | None = None
        self.given_out = 0

    async def make(self, job: Job, report: Report) -> None:
        self.report = report
        self.begun.set()
        outcome = await self.outcomes.get()
        self.begun.clear()
        if outcome is not None:
            raise outcome

    async def take(self) -> Proof:
        self.given_out += 1
        return PROOF

    def stop(self) -> None:
        self.stopped += 1
        if self.polite:
            self.outcomes.put_nowait(ProofCancelled("it was cancelled"))

    def kill(self) -> None:
        self.killed += 1
        self.outcomes.put_nowait(WorkerLost("it was killed"))

    async def replace(self) -> None:
        self.replaced += 1


class ToldPool:
    elsewhere = False

    def __init__(self, *seats: ToldSeat) -> None:
        self.seats = seats

    async def open(self) -> tuple[ToldSeat, ...]:
        return self.seats

    def close(self) -> None: ...


@pytest.fixture
async def seat() -> ToldSeat:
    return ToldSeat()


@pytest.fixture
async def jobs(seat: ToldSeat) -> AsyncIterator[Jobs]:
    made = await opened(seat)
    yield made
    await made.drain()


async def opened(*seats: ToldSeat) -> Jobs:
    jobs = Jobs(ToldPool(*seats), get())
    await jobs.open()
    return jobs


async def until(jobs: Jobs, holds: Callable[[tuple[JobView, ...]], bool]) -> tuple[JobView, ...]:
    """The jobs, once that holds of them."""
    async with asyncio.timeout(300):
        while True:
            snapshot = jobs.snapshot()
            if holds(snapshot.jobs):
                return snapshot.jobs
            await jobs.wait_for_change(snapshot.version, 60)


async def cancelled(task: asyncio.Task[Proof]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_proof_is_counted_before_it_leaves_its_worker(jobs: Jobs, seat: ToldSeat) -> None:
    given_out = []

    async def release() -> None:
        given_out.append(seat.given_out)

    seat.outcomes.put_nowait(None)
    assert await jobs.prove(LINEAR, release) == PROOF
    assert given_out == [0]
    assert jobs.snapshot().jobs == ()
    assert jobs.snapshot().ended["linear", "proven"].count == 1


async def test_one_that_may_not_be_counted_stays_there(jobs: Jobs, seat: ToldSeat) -> None:
    async def release() -> None:
        raise CommitmentMismatch("column 0")

    seat.outcomes.put_nowait(None)
    with pytest.raises(CommitmentMismatch):
        await jobs.prove(LINEAR, release)
    assert seat.given_out == 0
    seat.outcomes.put_nowait(None)
    assert await jobs.prove(LINEAR) == PROOF, "the seat is free again"


async def test_a_lost_worker_is_replaced_and_the_job_begun_again(jobs: Jobs, seat: ToldSeat) -> None:
    releases = 0

    async def release() -> None:
        nonlocal releases
        releases += 1

    for outcome in (WorkerLost("died"), WorkerLost("died"), None):
        seat.outcomes.put_nowait(outcome)
    assert await jobs.prove(LINEAR, release) == PROOF
    assert (seat.replaced, releases) == (2, 1)
    assert jobs.snapshot().ended["linear", "lost"].count == 2


async def test_not_for_ever(jobs: Jobs, seat: ToldSeat) -> None:
    for _ in range(ATTEMPTS):
        seat.outcomes.put_nowait(WorkerLost("out of memory"))
    with pytest.raises(JobFailed, match="out of memory") as caught:
        await jobs.prove(LINEAR)
    assert (caught.value.kind, caught.value.attempts) == ("linear", ATTEMPTS)
    assert jobs.snapshot().jobs == ()


async def test_what_the_proof_says_no_to_is_not_tried_again(jobs: Jobs, seat: ToldSeat) -> None:
    seat.outcomes.put_nowait(CommitmentMismatch("column 1"))
    with pytest.raises(CommitmentMismatch):
        await jobs.prove(LINEAR)
    assert seat.replaced == 0
    assert jobs.snapshot().ended["linear", "failed"].count == 1


async def test_a_job_that_nobody_waits_for_is_asked_to_end(jobs: Jobs, seat: ToldSeat) -> None:
    seat.polite = False
    proving = asyncio.create_task(jobs.prove(LINEAR))
    await seat.begun.wait()
    await cancelled(proving)
    assert seat.stopped == 1
    (view,) = jobs.snapshot().jobs
    assert view.state == JobState.ENDING
    assert jobs.snapshot().held_bytes == {"here": LINEAR.memory_bytes}, "its worker is not done with the memory"
    seat.outcomes.put_nowait(ProofCancelled("it was cancelled"))
    await until(jobs, lambda views: not views)
    assert jobs.snapshot().held_bytes == {"here": 0}
    assert seat.killed == 0
    seat.outcomes.put_nowait(None)
    assert await jobs.prove(LINEAR) == PROOF


async def test_one_that_cannot_be_asked_is_killed(jobs: Jobs, seat: ToldSeat) -> None:
    seat.polite = False
    proving = asyncio.create_task(jobs.prove(RULE))
    await seat.begun.wait()
    await cancelled(proving)
    await until(jobs, lambda views: not views)
    assert (seat.killed, seat.replaced) == (1, 1)
    assert jobs.snapshot().ended["rule", "cancelled"].count == 1


async def test_a_proof_made_for_nobody_is_neither_counted_nor_given_out(jobs: Jobs, seat: ToldSeat) -> None:
    async def release() -> None:
        raise AssertionError("counted")

    seat.polite = False
    proving = asyncio.create_task(jobs.prove(LINEAR, release))
    await seat.begun.wait()
    await cancelled(proving)
    seat.outcomes.put_nowait(None)
    await until(jobs, lambda views: not views)
    assert seat.given_out == 0


async def test_one_that_gives_up_in_the_queue_leaves_it(jobs: Jobs, seat: ToldSeat) -> None:
    proving = [asyncio.create_task(jobs.prove(replace(LINEAR, round=number))) for number in range(3)]
    views = await until(jobs, lambda views: len(views) == 3)
    assert [(view.state, view.queue_place) for view in views] == [
        (JobState.RUNNING, 0), (JobState.QUEUED, 1), (JobState.QUEUED, 2)
    ]  # fmt: skip
    await cancelled(proving[1])
    assert [view.queue_place for view in jobs.snapshot().jobs] == [0, 1]
    for index in (0, 2):
        seat.outcomes.put_nowait(None)
        assert await proving[index] == PROOF


async def test_two_that_do_not_fit_together_take_turns() -> None:
    need = LINEAR.memory_bytes
    seats = [ToldSeat(name, budget_bytes=2 * need - 1) for name in ("one", "two")]
    jobs = await opened(*seats)
    proving = [asyncio.create_task(jobs.prove(LINEAR)) for _ in range(2)]
    views = await until(jobs, lambda views: len(views) == 2)
    assert [view.state for view in views] == [JobState.RUNNING, JobState.QUEUED]
    for seat in seats:
        seat.outcomes.put_nowait(None)
        seat.outcomes.put_nowait(None)
    assert await asyncio.gather(*proving) == [PROOF, PROOF]


async def test_one_that_can_never_fit_is_refused() -> None:
    jobs = await opened(ToldSeat(budget_bytes=LINEAR.memory_bytes - 1))
    with pytest.raises(JobTooLarge):
        await jobs.prove(LINEAR)
    assert jobs.snapshot().jobs == ()


async def test_progress_is_seen(jobs: Jobs, seat: ToldSeat) -> None:
    proving = asyncio.create_task(jobs.prove(LINEAR))
    await seat.begun.wait()
    assert seat.report is not None
    await asyncio.to_thread(seat.report, "open", 2, 3)
    (view,) = await until(jobs, lambda views: views[0].stage == "open")
    assert (view.done, view.total, view.kind, view.task_id, view.attempt) == (2, 3, "linear", 1, 1)
    assert (view.worker, view.memory_bytes) == ("seat", LINEAR.memory_bytes)
    seat.outcomes.put_nowait(None)
    await proving


async def test_draining_leaves_nothing_behind() -> None:
    seat = ToldSeat()
    seat.polite = False
    jobs = await opened(seat)
    waiting = asyncio.create_task(jobs.prove(LINEAR))
    await seat.begun.wait()
    await jobs.drain()
    assert (seat.stopped, seat.killed) == (1, 1)
    with pytest.raises(ProofCancelled):
        await waiting
    assert jobs.snapshot().jobs == ()
