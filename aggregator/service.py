"""The aggregator's process: finds its tasks on chain, runs a machine for each, answers calls, stops cleanly."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TypeVar

from aggregator.config import AggregatorConfig
from aggregator.errors import (
    AggregatorError,
    DeepReorg,
    Disagreement,
    StateLost,
    StateTakenOver,
    Stopping,
    TooManyProofs,
)
from aggregator.finality import Finality
from aggregator.handover import owner_key_of
from aggregator.jobs import Jobs, Pool
from aggregator.jobs.choice import pool_of
from aggregator.machine import Machine
from aggregator.policy import check_memory, check_policy
from aggregator.served import Registry, ServedTask
from aggregator.server import Server, build
from aggregator.state import State
from aggregator.telemetry import Telemetry
from aggregator.tools import Tools, off_loop
from circuits.prover import Prover
from contracts.bindings import BindingsError, Chain, KeyBoard, Market, TaskState, UntrustedBoard, check_board
from process import logs, metrics, tracing
from process.errors import ConfigurationError
from process.keyfile import load_account
from protocol.terms import UnacceptableTerms, check_terms
from store.errors import StoreUnavailable
from store.interface import Store
from store.kubo import KuboStore
from store.places import store_at

T = TypeVar("T")

_MOST_PAUSE_SECONDS = 30.0
_SAMPLE_SECONDS = 5.0
_SWEEP_SECONDS = 10.0
_THREADS = 32
# Fatal for a task: another attempt would give the same answer.
_FINAL = (Disagreement, StateLost, TooManyProofs)
# Fatal for the process: what it knows is not the chain's, or not its own any more.
_FATAL = (DeepReorg, StateTakenOver)


async def serve(config: AggregatorConfig, *, human: bool = False) -> None:
    """Runs the aggregator until SIGTERM or SIGINT.

    Args:
        human: log lines for eyes instead of JSON.
    Raises:
        ConfigurationError, KeyFileError, ChainUnavailable, ArtifactMissing: it cannot start.
    """
    logs.configure(config.log_level, human=human)
    aggregator = await off_loop(Aggregator, config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, aggregator.stop)
    try:
        await aggregator.run()
    finally:
        await off_loop(aggregator.close)


class Aggregator:
    """One aggregator. `run` returns after `stop`.

    Attributes:
        port: where it listens, once it does. server: what answers there.
    """

    def __init__(
        self,
        config: AggregatorConfig,
        *,
        prover: Prover | None = None,
        pool: Pool | None = None,
        boundary: Callable[[str], None] = lambda _: None,
    ) -> None:
        account = load_account(config.key_file, password_file=config.password_file)
        chain = Chain(config.rpc_url)
        market = Market(chain, config.market)
        board = _board_of(config, chain)
        identity = {"chain": str(chain.chain_id), "market": market.address, "aggregator": account.address}
        store = _store_of(config)
        prover = prover or Prover()
        log = logs.get(role="aggregator")
        jobs = Jobs(pool or pool_of(config, store, prover), log)
        state = State(config.database, identity, boundary)
        store.remove_drafts()
        self.port = 0
        self.server: Server | None = None
        self.tools = Tools(
            config=config,
            account=account,
            chain=chain,
            market=market,
            board=board,
            prover=prover,
            jobs=jobs,
            state=state,
            store=store,
            finality=Finality(chain, state, config.reorg_depth_blocks),
            boundary=boundary,
            log=log,
            telemetry=Telemetry(traces=tracing.from_environment("meritproof-aggregator")),
        )
        self.registry = Registry(self.tools)
        self._machines: set[asyncio.Task[None]] = set()
        self._failure: AggregatorError | None = None

    def stop(self) -> None:
        """Asks for an orderly end: calls are refused, the steps under way finish."""
        self.tools.draining.set()

    def close(self) -> None:
        """Gives back processes and files; call it after `run`."""
        self.tools.jobs.close()
        self.tools.prover.close()
        self.tools.state.close()
        self.tools.telemetry.traces.close()

    async def run(self) -> None:
        """Serves until `stop`.

        Raises:
            DeepReorg, StateTakenOver: it must not go on.
        """
        with ExitStack() as stack:
            self._serve_metrics(stack)
            await self._run()

    async def _run(self) -> None:
        # Threads wait for disk and chain far more than they work.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        await self.tools.jobs.open()
        self.server = server = build(self.tools, self.registry)
        await server.start()
        self.port = server.port
        self.tools.log.info(
            "service.listening",
            host=self.tools.config.host,
            port=self.port,
            aggregator=self.tools.account.address,
            chain_id=self.tools.chain.chain_id,
            market=self.tools.market.address,
        )
        works = (self._discover(), self._start_machines(), self._sweep(server), self._sample(), self._count_jobs())
        workers = [asyncio.create_task(work) for work in works]
        try:
            await self.tools.draining.wait()
        finally:
            self.tools.draining.set()
            await self._drain(server, workers)
        if self._failure is not None:
            raise self._failure

    def _serve_metrics(self, stack: ExitStack) -> None:
        config, counted = self.tools.config, self.tools.telemetry.metrics
        counted.watch_disk(config.data_directory)
        if config.metrics_port is None:
            return
        port = stack.enter_context(metrics.served(counted.registry, config.metrics_host, config.metrics_port))
        self.tools.log.info("metrics.listening", host=config.metrics_host, port=port)

    async def _sample(self) -> None:
        """Looks now and then at what no event tells: how far behind the chain is, how many tasks there are."""
        counted = self.tools.telemetry.metrics
        while True:
            counted.tasks.set(sum(not task.finished for task in self.registry.tasks.values()))
            try:
                counted.chain_lag_seconds.set(max(0, time.time() - await off_loop(self.tools.chain.now_seconds)))
                counted.chain_up.set(1)
            except BindingsError:
                counted.chain_up.set(0)
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _count_jobs(self) -> None:
        """Counts proofs that wait and that are made, at each change."""
        counted = self.tools.telemetry.metrics
        while True:
            seen = self.tools.jobs.snapshot()
            counted.count_jobs(seen.jobs)
            await self.tools.jobs.wait_for_change(seen.version, _SAMPLE_SECONDS)

    async def _discover(self) -> None:
        """Looks for new tasks for as long as the process runs."""
        while True:
            await self._insist(self.registry.discover, "discovery")
            await asyncio.sleep(self.tools.config.poll_seconds)

    async def _sweep(self, server: Server) -> None:
        """Gives up uploads that nobody goes on with."""
        intake, genesis = server.intake, server.genesis
        while True:
            await self._insist(lambda: off_loop(intake.partials.sweep, intake.collects), "sweep")
            await self._insist(lambda: off_loop(genesis.partials.sweep, genesis.is_awaited), "sweep of first models")
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _start_machines(self) -> None:
        while True:
            task = await self.registry.found.get()
            machine = asyncio.create_task(self._run_task(task))
            self._machines.add(machine)
            machine.add_done_callback(self._machines.discard)

    async def _run_task(self, task: ServedTask) -> None:
        try:
            await self._check_terms(task)
            if task.derived is not None:
                logs.bind(task=task.task_id)
                machine = Machine(task, task.derived, self.tools)
                await self._insist(machine.run, f"task {task.task_id}")
        except Stopping:
            return
        except _FINAL as error:
            self.tools.log.critical("task.stopped", task=task.task_id, error=str(error))
        task.finished = True
        self.tools.telemetry.metrics.finished_task(task.task_id)
        await task.notify()
        self.tools.log.info("task.finished", task=task.task_id)

    async def _check_terms(self, task: ServedTask) -> None:
        try:
            check_policy(task.config, self.tools.config, is_bonded=task.view.state != TaskState.FUNDED)
            check_memory(task.config, self.tools.jobs)
            task.owner_key = await self._insist(
                lambda: off_loop(owner_key_of, task.view, self.tools), f"owner of task {task.task_id}"
            )
            task.derived = await self._insist(
                lambda: self.tools.with_prover(check_terms, task.config, self.tools.chain, self.tools.prover),
                f"terms of task {task.task_id}",
            )
            self.tools.log.info("task.accepted", task=task.task_id, rule=task.config.rule_name)
        except UnacceptableTerms as error:
            task.refusal = str(error)
            self.tools.log.warning("task.refused", task=task.task_id, field=error.field, reason=str(error))
        task.checked.set()

    async def _insist(self, action: Callable[[], Awaitable[T]], what: str) -> T:
        """Tries again, more and more slowly, whatever may pass: a chain that is down, a prover that crashed."""
        pause_seconds = self.tools.config.poll_seconds
        while True:
            try:
                return await action()
            except (*_FINAL, Stopping, UnacceptableTerms):
                raise
            except _FATAL as error:
                self.tools.log.critical("service.failed", error=str(error))
                self._failure = error
                self.stop()
                raise Stopping from error
            except Exception as error:
                if self.tools.draining.is_set():
                    raise Stopping from error
                self.tools.log.error("attempt.failed", what=what, again_in_seconds=pause_seconds, exc_info=error)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self.tools.draining.wait()
            pause_seconds = min(2 * pause_seconds, _MOST_PAUSE_SECONDS)

    async def _drain(self, server: Server, workers: list[asyncio.Task[None]]) -> None:
        drain_seconds = self.tools.config.drain_seconds
        self.tools.log.info("service.draining", seconds=drain_seconds)
        await server.health.enter_graceful_shutdown()
        for worker in workers:
            worker.cancel()
        for task in self.registry.tasks.values():
            await task.notify()
        stopping = asyncio.create_task(server.stop(drain_seconds))
        if self._machines:
            _, late = await asyncio.wait(self._machines, timeout=drain_seconds)
            for machine in late:
                machine.cancel()
        await self.tools.jobs.drain()
        await stopping
        self.tools.log.info("service.stopped")


def _board_of(config: AggregatorConfig, chain: Chain) -> KeyBoard | None:
    """The key board of the configuration (ConfigurationError if there is none at that address)."""
    if config.key_board is None:
        return None
    try:
        check_board(chain, config.key_board)
    except UntrustedBoard as error:
        raise ConfigurationError(f"key_board: {error}", "key_board") from error
    return KeyBoard(chain, config.key_board)


def _store_of(config: AggregatorConfig) -> Store:
    """The store of the configuration.

    Raises:
        ConfigurationError: the IPFS node does not answer.
    """
    store = store_at(config.objects, spool_directory=config.data_directory / "spool")
    if isinstance(store, KuboStore):
        try:
            store.check()
        except StoreUnavailable as error:
            raise ConfigurationError(f"store_url: {error}", "store_url") from error
    return store
