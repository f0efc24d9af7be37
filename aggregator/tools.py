"""What every part of a running aggregator shares."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

from eth_account.signers.local import LocalAccount

from aggregator.config import AggregatorConfig
from aggregator.finality import Finality
from aggregator.jobs import Jobs
from aggregator.state import State
from aggregator.telemetry import Telemetry
from circuits.prover import Prover
from contracts.bindings import Chain, KeyBoard, Market
from process.logs import Log
from protocol.calls import Claimed
from store.interface import Store

P = ParamSpec("P")
T = TypeVar("T")

_STORE_THREADS = 16


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Attributes:
    board: where keys of sealed last models are handed over, if this aggregator seals any.
    prover: for keys; proofs are made by jobs.
    draining: set once the process has been asked to stop.
    posting: held while a bond in a token is allowed and posted: the allowance of another would replace it.
    boundary: called by name wherever a killed process would leave something half done; tests end it there.
    """

    config: AggregatorConfig
    account: LocalAccount
    chain: Chain
    market: Market
    board: KeyBoard | None
    prover: Prover
    jobs: Jobs
    state: State
    store: Store
    finality: Finality
    log: Log
    telemetry: Telemetry = field(default_factory=Telemetry)
    boundary: Callable[[str], None] = lambda _: None
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    posting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _provers: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="prover"))
    _stores: Executor = field(default_factory=lambda: ThreadPoolExecutor(_STORE_THREADS, thread_name_prefix="store"))

    async def chain_clock_seconds(self, within_seconds: float = 0.0) -> int:
        """The time that deadlines are measured by: the latest block's, or the wall clock where blocks are rare."""
        return max(int(time.time()), (await off_loop(self.finality.look, within_seconds)).seconds)

    async def with_prover(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what needs keys, in a thread apart: making them takes minutes, and uploads must not wait for it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._provers, partial(function, *args, **kwargs))

    async def with_store(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what reads or writes objects, in threads apart: a node that hangs must keep only these waiting, and
        neither chain nor database."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._stores, partial(function, *args, **kwargs))


async def off_loop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs what blocks (disk, chain, prover, curve arithmetic) in a thread."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def spend(call: Claimed, tools: Tools) -> None:
    """Takes a signed call, once (ReplayedCall if it was taken before)."""
    deadline_seconds = call.call.deadline_seconds
    await off_loop(tools.state.spend_nonce, call.signer, call.call.nonce, deadline_seconds, int(time.time()))
