"""The jobs of one aggregator: queued, run, retried, stopped, and seen."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from aggregator.errors import JobFailed, WorkerLost
from aggregator.jobs.admission import Admission, Place
from aggregator.jobs.job import Job
from aggregator.jobs.pool import Pool, Report, Seat
from aggregator.jobs.views import Ended, JobState, JobView, Snapshot
from circuits.errors import ProofCancelled
from circuits.proof import Proof
from process.logs import Log

ATTEMPTS = 3
"""So many workers may be lost over one job."""

_GRACE_SECONDS = 30.0
_CLOSING_SECONDS = 2.0
_RESTORE_SECONDS = 10.0
_TELL_SECONDS = 5.0

T = TypeVar("T")

Release = Callable[[], Awaitable[None]]
"""Awaited once a proof is made, and before it leaves its worker; what it raises keeps the proof there."""


@dataclass(eq=False, kw_only=True)
class _Entry:
    """A job's, from its coming until its worker is done with it."""

    job_id: int
    job: Job
    queued_at: float
    place: Place[Seat] | None = None
    seat: Seat | None = None
    state: JobState = JobState.QUEUED
    attempt: int = 0
    began_at: float = 0.0
    told_at: float = 0.0
    step: tuple[str, int, int] = ("", 0, 0)


class Jobs:
    """Runs jobs on a pool. Everything but `close` belongs to one event loop."""

    def __init__(self, pool: Pool, log: Log) -> None:
        self._pool = pool
        self._log = log
        self._admission: Admission[Seat] = Admission()
        self._entries: dict[int, _Entry] = {}
        self._ids = itertools.count(1)
        self._ended: defaultdict[tuple[str, str], Ended] = defaultdict(Ended)
        self._running: set[asyncio.Task[Any]] = set()
        self._restoring: set[asyncio.Task[Any]] = set()
        self._change = asyncio.Event()
        self._version = 0
        self._closing = False

    @property
    def elsewhere(self) -> bool:
        """Whether proofs come from other machines, and so must be verified here."""
        return self._pool.elsewhere

    async def open(self) -> None:
        """Takes the pool's seats (ConfigurationError: it has none)."""
        for seat in await self._pool.open():
            self._admission.add_seat(seat, seat.machine, seat.budget_bytes)

    def close(self) -> None:
        """Ends every worker, after `drain`; blocks."""
        self._pool.close()

    async def drain(self) -> None:
        """Asks what still runs to end, then kills it."""
        self._closing = True
        for entry in self._entries.values():
            self._ask_to_end(entry)
        for task in self._restoring:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSING_SECONDS)
        for entry in self._entries.values():
            if entry.seat is not None:
                entry.seat.kill()
        while self._running or self._restoring:
            await asyncio.wait(self._running | self._restoring)

    def require_fits(self, memory_bytes: int) -> None:
        """JobTooLarge if a job of this size can never run."""
        self._admission.require_fits(memory_bytes)

    async def prove(self, job: Job, release: Release | None = None) -> Proof:
        """The job's proof. If nobody waits for it any more, it ends.

        Raises:
            JobTooLarge: no machine has the memory.
            JobFailed: workers were lost over it, time and again.
            CircuitError: the proof's own code refused. What `release` raises passes through.
        """
        entry = _Entry(job_id=next(self._ids), job=job, queued_at=time.monotonic())
        self._entries[entry.job_id] = entry
        try:
            proof = await self._attempts(entry, release)
        except asyncio.CancelledError:
            self._count(entry, "cancelled")
            raise
        except BaseException:
            self._count(entry, "failed")
            raise
        finally:
            # A job that is ending is seen until its worker has noticed.
            if entry.state != JobState.ENDING:
                del self._entries[entry.job_id]
            self._notify()
        self._count(entry, "proven")
        return proof

    # --------------------------------------------------------------- what is seen

    def snapshot(self) -> Snapshot:
        """All jobs as they are now; cheap."""
        now = time.monotonic()
        return Snapshot(
            version=self._version,
            jobs=tuple(self._view(entry, now) for entry in self._entries.values()),
            ended=dict(self._ended),
            budget_bytes=self._admission.budget_bytes,
            held_bytes=self._admission.held_bytes,
        )

    async def wait_for_change(self, seen: int, timeout_seconds: float) -> None:
        """Returns at the first change after version `seen`, or when the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self._version == seen:
                    await self._change.wait()

    def _view(self, entry: _Entry, now: float) -> JobView:
        stage, done, total = entry.step
        queued = entry.state == JobState.QUEUED
        return JobView(
            job_id=entry.job_id,
            kind=entry.job.kind,
            task_id=entry.job.task_id,
            round=entry.job.round,
            state=entry.state,
            queue_place=self._admission.queue_place(entry.place) if entry.place is not None else 0,
            stage=stage,
            done=done,
            total=total,
            attempt=entry.attempt,
            memory_bytes=entry.job.memory_bytes,
            worker=entry.seat.name if entry.seat is not None else "",
            waited_seconds=(now if queued else entry.began_at) - entry.queued_at,
            seconds=0.0 if queued else now - entry.began_at,
        )

    # ------------------------------------------------------------------- attempts

    async def _attempts(self, entry: _Entry, release: Release | None) -> Proof:
        lost: WorkerLost | None = None
        for entry.attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._attempt(entry, release)
            except WorkerLost as error:
                if entry.state == JobState.ENDING:
                    raise ProofCancelled("it was cancelled") from error
                self._count(entry, "lost")
                self._log_of(entry).warning("proof.worker_lost", attempt=entry.attempt, reason=str(error))
                lost = error
        raise JobFailed(entry.job.kind, ATTEMPTS, str(lost)) from lost

    async def _attempt(self, entry: _Entry, release: Release | None) -> Proof:
        entry.state, entry.step, entry.queued_at = JobState.QUEUED, ("", 0, 0), time.monotonic()
        entry.place = place = self._admission.enter(entry.job.memory_bytes)
        self._notify()
        try:
            seat = await asyncio.shield(place.seat)
        except asyncio.CancelledError:
            self._give_back(place)
            raise
        entry.state, entry.seat, entry.began_at = JobState.RUNNING, seat, time.monotonic()
        self._log_of(entry).info(
            "proof.began", memory_bytes=place.need_bytes, waited_seconds=round(entry.began_at - entry.queued_at, 3)
        )
        self._notify()
        running = _spawn(self._run(entry, place, seat, release), self._running)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not running.done():
                self._log_of(entry).info("proof.unwanted", stage=entry.step[0])
                self._ask_to_end(entry)
                _spawn(_kill_unless_it_ends(entry.job, seat, running), self._running)
            raise

    async def _run(self, entry: _Entry, place: Place[Seat], seat: Seat, release: Release | None) -> Proof:
        """On one seat. It is never cancelled, for what a job holds is held until its worker is done with it."""
        lost = False
        try:
            await seat.make(entry.job, self._reporter(entry))
            if entry.state == JobState.ENDING:
                raise ProofCancelled("it was cancelled")
            if release is not None:
                await release()
            return await seat.take()
        except WorkerLost:
            lost = True
            raise
        finally:
            self._admission.leave(place)
            entry.seat = None
            if entry.state == JobState.ENDING:
                del self._entries[entry.job_id]
            if lost:
                _spawn(self._restore(seat), self._restoring)
            else:
                self._admission.add_seat(seat, seat.machine, seat.budget_bytes)
            self._notify()

    def _give_back(self, place: Place[Seat]) -> None:
        """Of a job that was cancelled in the queue, or just as it had got its seat."""
        self._admission.leave(place)
        if place.seat.done():
            seat = place.seat.result()
            self._admission.add_seat(seat, seat.machine, seat.budget_bytes)

    def _ask_to_end(self, entry: _Entry) -> None:
        if entry.seat is not None:
            entry.state = JobState.ENDING
            entry.seat.stop()

    async def _restore(self, seat: Seat) -> None:
        while not self._closing:
            try:
                await seat.replace()
            except WorkerLost as error:
                self._log.error("worker.missing", reason=str(error), again_in_seconds=_RESTORE_SECONDS)
                await asyncio.sleep(_RESTORE_SECONDS)
            else:
                self._admission.add_seat(seat, seat.machine, seat.budget_bytes)
                return

    # ---------------------------------------------------------------------- tools

    def _reporter(self, entry: _Entry) -> Report:
        loop = asyncio.get_running_loop()

        def report(*step: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody looks any more
                loop.call_soon_threadsafe(self._told, entry, step)

        return report

    def _told(self, entry: _Entry, step: tuple[str, int, int]) -> None:
        entry.step, now = step, time.monotonic()
        if now - max(entry.told_at, entry.began_at) >= _TELL_SECONDS:
            entry.told_at = now
            stage, done, total = step
            self._log_of(entry).info("proof.progress", stage=stage, done=done, total=total)
        self._notify()

    def _log_of(self, entry: _Entry) -> Log:
        worker = entry.seat.name if entry.seat is not None else None
        return self._log.bind(
            job=entry.job_id, kind=entry.job.kind, task=entry.job.task_id, round=entry.job.round, worker=worker
        )

    def _count(self, entry: _Entry, outcome: str) -> None:
        seconds = time.monotonic() - entry.began_at if entry.began_at else 0.0
        key = (entry.job.kind, outcome)
        self._ended[key] = self._ended[key].and_one(seconds)

    def _notify(self) -> None:
        self._version += 1
        self._change.set()
        self._change = asyncio.Event()


async def _kill_unless_it_ends(job: Job, seat: Seat, running: asyncio.Task[Proof]) -> None:
    if job.stops_when_asked:
        await asyncio.wait({running}, timeout=_GRACE_SECONDS)
    if not running.done():
        seat.kill()


def _spawn(work: Coroutine[Any, Any, T], among: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
    """Starts what outlives its caller; `among` keeps it until it ends."""

    def forget(task: asyncio.Task[T]) -> None:
        among.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for the task has it, and nobody may

    task = asyncio.create_task(work)
    among.add(task)
    task.add_done_callback(forget)
    return task
