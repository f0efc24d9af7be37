"""The pool of this machine: processes that are started when they are needed, and stay warm."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from aggregator.errors import WorkerLost
from aggregator.jobs.bench import Bench, Inputs
from aggregator.jobs.job import Job
from aggregator.jobs.memory import default_budget_bytes
from aggregator.jobs.pool import SILENCE_SECONDS, Report
from circuits.errors import ProverCrashed
from circuits.native import Progress
from circuits.proof import Proof
from circuits.prover import Prover
from circuits.worker import Here, Worker

P = ParamSpec("P")
T = TypeVar("T")

MACHINE = "here"


@dataclass(frozen=True, kw_only=True)
class Directories:
    """Where a worker finds what it needs.

    Attributes:
        store: the content store's directory, or an IPFS node's URL.
    """

    store: str
    srs: Path
    keys: Path


class LocalPool:
    """Args:
    workers: how many jobs may run at once, if memory allows.
    memory_bytes: what they may take together; by default what is available now.
    """

    elsewhere = False

    def __init__(
        self,
        *,
        directories: Directories,
        workers: int,
        memory_bytes: int | None = None,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        budget_bytes = default_budget_bytes() if memory_bytes is None else memory_bytes
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="proofs")
        self.seats = [
            LocalSeat(directories, budget_bytes, self._threads, silence_seconds=silence_seconds) for _ in range(workers)
        ]

    async def open(self) -> Sequence["LocalSeat"]:
        return self.seats

    def close(self) -> None:
        for seat in self.seats:
            seat.close()
        self._threads.shutdown()


class LocalSeat:
    """A seat of `LocalPool`; its process starts with its first job."""

    def __init__(
        self, directories: Directories, budget_bytes: int, threads: ThreadPoolExecutor, *, silence_seconds: float
    ) -> None:
        self.machine, self.budget_bytes = MACHINE, budget_bytes
        self._directories = directories
        self._threads = threads
        self._silence_seconds = silence_seconds
        self._worker = Worker()
        self._unwanted = threading.Event()

    @property
    def name(self) -> str:
        return f"process {self._worker.pid}" if self._worker.pid else "a new process"

    async def make(self, job: Job, report: Report) -> None:
        self._unwanted.clear()

        def progress(stage: str, done: int, total: int) -> bool:
            report(stage, done, total)
            return not self._unwanted.is_set()

        call = partial(self._worker.call, timeout_seconds=self._silence_seconds, progress=progress)
        await self._in_thread(call, _make, self._directories, job)

    async def take(self) -> Proof:
        return await self._in_thread(self._worker.call, _take, self._directories)

    def stop(self) -> None:
        self._unwanted.set()

    def kill(self) -> None:
        self._worker.cancel()

    async def replace(self) -> None:
        """The next call starts a process."""

    def close(self) -> None:
        self._worker.close()

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, partial(call, *args, **kwargs))
        except ProverCrashed as error:
            raise WorkerLost(str(error)) from error


# What follows runs in the worker.


@cache
def _bench(directories: Directories) -> Bench:
    return Bench(Prover(srs_directory=directories.srs, keys_directory=directories.keys, worker=Here()))


def _make(directories: Directories, job: Job, progress: Progress) -> None:
    _bench(directories).make(job, Inputs(directories.store), progress)


def _take(directories: Directories) -> Proof:
    return _bench(directories).take()
