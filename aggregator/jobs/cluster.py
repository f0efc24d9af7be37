"""The pool of a Ray cluster: one actor a seat, which is one process of it."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any, cast

from aggregator.errors import WorkerLost
from aggregator.jobs.bench import Bench, Inputs
from aggregator.jobs.job import Job
from aggregator.jobs.memory import default_budget_bytes
from aggregator.jobs.pool import SILENCE_SECONDS, Report
from circuits.errors import CircuitError
from circuits.proof import Proof
from circuits.prover import Prover
from circuits.worker import Here, outcome_of, result_of
from process.errors import ConfigurationError
from store.interface import Store
from store.local import ContentStore

_REACH_SECONDS = 10.0
_LOOK_SECONDS = 0.5
_START_SECONDS = 300.0
# `make` takes minutes, while `look` and `stop` come in between.
_CALLS_AT_ONCE = 3


class RayPool:
    """Args:
    address: of the cluster's head, HOST:PORT.
    store: the inputs; workers that do not see its directory, or of an IPFS node, are sent the bytes.
    workers: how many jobs may run at once, one CPU of the cluster each.
    memory_bytes: what they may take together on one machine; by default what is available there.
    """

    elsewhere = True

    def __init__(
        self,
        address: str,
        *,
        store: Store,
        workers: int,
        memory_bytes: int | None = None,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._ray = _library()
        self._address = address
        self.seats = [
            RaySeat(self._ray, store, memory_bytes=memory_bytes, silence_seconds=silence_seconds)
            for _ in range(workers)
        ]

    async def open(self) -> Sequence["RaySeat"]:
        await asyncio.to_thread(self._connect)
        try:
            await asyncio.gather(*(seat.replace() for seat in self.seats))
        except WorkerLost as error:
            raise ConfigurationError(f"ray_address: {self._address}: {error}", "ray_address") from error
        return self.seats

    def close(self) -> None:
        for seat in self.seats:
            seat.kill()
        self._ray.shutdown()

    def _connect(self) -> None:
        try:
            # Ray itself looks for minutes, and does not say at what.
            host, _, port = self._address.rpartition(":")
            socket.create_connection((host, int(port)), _REACH_SECONDS).close()
            self._ray.init(address=self._address, namespace="meritproof", log_to_driver=False, logging_level="error")
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigurationError(f"ray_address: no cluster at {self._address}: {error}", "ray_address") from error


class RaySeat:
    """A seat of `RayPool`."""

    def __init__(self, ray: Any, store: Store, *, memory_bytes: int | None, silence_seconds: float) -> None:
        self.machine, self.budget_bytes = "", 0
        self._ray = ray
        self._store = store
        # A node listens on loopback, which is another one on each machine.
        self._place = str(store.directory) if isinstance(store, ContentStore) else ""
        self._memory_bytes = memory_bytes
        self._silence_seconds = silence_seconds
        self._name = "none"
        self._stand: Any = None

    @property
    def name(self) -> str:
        return self._name

    async def make(self, job: Job, report: Report) -> None:
        missing = await self._ask(self._stand.missing.remote(self._place, job.cids))
        sent = [self._ray.put(await asyncio.to_thread(self._store.get, cid)) for cid in missing]
        making = self._stand.make.remote(job, self._place, *sent)
        await self._follow(_future(making), report)
        result_of(await self._ask(making))

    async def take(self) -> Proof:
        outcome: tuple[Proof] | CircuitError = await self._ask(self._stand.take.remote())
        return result_of(outcome)

    def stop(self) -> None:
        self._stand.stop.remote()

    def kill(self) -> None:
        if self._stand is not None:
            self._ray.kill(self._stand)

    async def replace(self) -> None:
        actor = self._ray.remote(Stand)
        self._stand = actor.options(
            num_cpus=1, max_concurrency=_CALLS_AT_ONCE, max_restarts=0, scheduling_strategy="SPREAD"
        ).remote()
        try:
            async with asyncio.timeout(_START_SECONDS):
                self.machine, pid, budget_bytes = await self._ask(self._stand.describe.remote())
        except TimeoutError:
            self.kill()
            raise WorkerLost(f"the cluster gave no CPU within {_START_SECONDS:g} seconds") from None
        self.budget_bytes = budget_bytes if self._memory_bytes is None else self._memory_bytes
        self._name = f"node {self.machine[:8]} process {pid}"

    async def _follow(self, making: "asyncio.Future[Any]", report: Report) -> None:
        """Until it is made: passes on how far it is, and ends a worker that is not heard of."""
        seen, heard_at, looking = None, time.monotonic(), None
        while True:
            await asyncio.wait({making}, timeout=_LOOK_SECONDS)
            if making.done():
                return
            if looking is None:
                looking = _future(self._stand.look.remote())
            elif looking.done():  # it waits where a library keeps the interpreter to itself
                if looking.exception() is None and looking.result() != seen:
                    seen, heard_at = looking.result(), time.monotonic()
                    report(*seen)
                looking = None
            if time.monotonic() - heard_at > self._silence_seconds:
                self.kill()
                raise WorkerLost(f"{self.name}: no sign of it for {self._silence_seconds:g} seconds; it was ended")

    async def _ask(self, reference: Any) -> Any:
        try:
            return await _future(reference)
        except self._ray.exceptions.RayError as error:
            raise WorkerLost(f"{self._name}: {error}") from error


class Stand:
    """The actor: a bench in a process of the cluster, and a way to look at it while it works."""

    def __init__(self) -> None:
        self._bench = Bench(Prover(worker=Here()))
        self._unwanted = threading.Event()
        self._step = ("", 0, 0)

    def describe(self) -> tuple[str, int, int]:
        """The node's id, this process's, and what proofs may take here."""
        return _library().get_runtime_context().get_node_id(), os.getpid(), default_budget_bytes()

    def missing(self, place: str, cids: Sequence[bytes]) -> list[bytes]:
        return Inputs(place).missing(cids)

    def make(self, job: Job, place: str, *sent: bytes) -> tuple[None] | CircuitError:
        self._unwanted.clear()
        self._step = ("", 0, 0)
        return outcome_of(self._bench.make, job, Inputs(place, sent), self._tell)

    def look(self) -> tuple[str, int, int]:
        return self._step

    def stop(self) -> None:
        self._unwanted.set()

    def take(self) -> tuple[Proof] | CircuitError:
        return outcome_of(self._bench.take)

    def _tell(self, *step: Any) -> bool:
        self._step = cast(tuple[str, int, int], step)
        return not self._unwanted.is_set()


def _future(reference: Any) -> "asyncio.Future[Any]":
    """What Ray calls a reference, as this event loop awaits it; nobody need look at how it ends."""
    future = asyncio.wrap_future(reference.future())
    future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return future


def _library() -> Any:
    try:
        import ray  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise ConfigurationError(
            "ray_address: proofs on a cluster need Ray: pip install 'meritproof[ray]'", "ray_address"
        ) from error
    return ray
