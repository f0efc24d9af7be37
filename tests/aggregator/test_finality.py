"""What is remembered of the chain is that of its head, is read again when it may be wrong, and is asked for seldom."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import URL
from web3.types import RPCEndpoint

from aggregator.errors import DeepReorg
from aggregator.finality import Finality, Seen
from aggregator.outbox import Outbox
from aggregator.records import Purpose
from aggregator.served import Registry, ServedTask
from aggregator.state import State
from aggregator.tools import Tools
from circuits.prover import Prover
from contracts.bindings import ChainUnavailable, TaskState
from contracts.bindings.devchain import anvil_chain
from process import logs
from tests.stage import Stage

IDENTITY = {"chain": "1", "market": "0xm", "aggregator": "0xa"}
DEPTH = 5


class Counted:
    """A chain or a market whose calls are counted, and fail when told to."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.calls: Counter[str] = Counter()
        self.fails: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            if name in self.fails:
                raise ChainUnavailable(name, "nowhere", "no answer")
            return found(*args, **kwargs)

        return call


@pytest.fixture
def stage(prover: Prover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """On a chain of its own."""
    monkeypatch.setattr("protocol.terms.check_verifier", lambda chain, verifier: None)
    with anvil_chain() as local:
        yield Stage(local, prover, tmp_path)


@pytest.fixture
def chain(stage: Stage) -> Counted:
    return Counted(stage.chain)


@pytest.fixture
def tools(stage: Stage, chain: Counted, tmp_path: Path) -> Iterator[Any]:
    """As far as these parts use them."""
    state = State(URL.create("sqlite", database=str(tmp_path / "state.sqlite")), IDENTITY)
    yield SimpleNamespace(
        chain=chain,
        market=Counted(stage.market),
        state=state,
        finality=Finality(chain, state, DEPTH),  # type: ignore[arg-type]
        account=stage.operator,
        config=SimpleNamespace(tasks=None),
        boundary=lambda _: None,
        log=logs.get(),
    )
    state.close()


def ask(stage: Stage, method: str, *params: Any) -> Any:
    answer = stage.chain.w3.provider.make_request(RPCEndpoint(method), list(params))
    assert "error" not in answer, answer
    return answer["result"]


def test_a_head_may_be_as_old_as_the_caller_says(stage: Stage, chain: Counted, tools: Tools) -> None:
    head = tools.finality.look()
    ask(stage, "anvil_mine", 1)
    assert tools.finality.look(60) is head
    assert chain.calls["head"] == 1
    later = tools.finality.look()
    assert (later.latest, later.hash) == (head.latest + 1, stage.chain.block_hash(head.latest + 1))
    assert later.seconds == stage.chain.now_seconds()


def test_a_block_is_asked_for_once_a_head(stage: Stage, chain: Counted, tools: Tools) -> None:
    head = tools.finality.look()
    before = chain.calls["block_hash"]
    assert tools.finality.hash_of(head.latest) == tools.finality.hash_of(head.latest) == head.hash
    assert chain.calls["block_hash"] == before + 1
    ask(stage, "anvil_reorg", 1, [])
    again = tools.finality.look()
    assert again.latest == head.latest
    assert tools.finality.hash_of(head.latest) == again.hash != head.hash


def test_a_lost_block_is_lost_at_every_look(stage: Stage, tools: Tools) -> None:
    ask(stage, "anvil_mine", DEPTH)
    head = tools.finality.look()
    ask(stage, "anvil_reorg", DEPTH + 2, [])
    for _ in range(2):
        with pytest.raises(DeepReorg):
            tools.finality.look()
    assert tools.finality.look(60) is head  # what was known before, for whom that will do


def test_what_was_read_is_not_trusted_for_long(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    head, seen, now = tools.finality.look(), Seen(), 100.0
    monkeypatch.setattr("aggregator.finality.time.monotonic", lambda: now)
    assert not seen.is_of(head)
    seen.note(head, now)
    assert seen.is_of(head)
    assert not seen.is_of(head._replace(hash=bytes(32)))
    now += 20
    assert seen.is_of(head)
    now += 60
    assert not seen.is_of(head)
    seen.note(head, now)
    seen.forget()
    assert not seen.is_of(head)


async def test_half_a_look_at_a_task_is_repeated(stage: Stage, tools: Any) -> None:
    task_id = await stage.create_task(joined=0)
    task, market = ServedTask(stage.market.task(task_id)), tools.market
    await asyncio.to_thread(stage.market.join, stage.trainers[0], task_id)
    await asyncio.to_thread(stage.market.post_bond, stage.operator, task_id)
    market.fails = {"task"}
    with pytest.raises(ChainUnavailable):
        await task.refresh(tools)
    market.fails = set()
    assert (await task.refresh(tools)).state == TaskState.OPEN
    assert task.joined == {stage.trainers[0].address}
    before = market.calls.copy()
    await task.refresh(tools)
    assert market.calls == before
    ask(stage, "anvil_mine", 1)
    await task.refresh(tools)
    assert market.calls["task"] == before["task"] + 1


async def test_half_a_discovery_is_repeated(stage: Stage, tools: Any) -> None:
    task_id = await stage.create_task(joined=0)
    ask(stage, "anvil_mine", DEPTH)
    registry = Registry(tools)
    tools.market.fails = {"tasks"}
    with pytest.raises(ChainUnavailable):
        await registry.discover()
    tools.market.fails = set()
    await registry.discover()
    assert task_id in registry.tasks
    before = tools.market.calls["tasks"]
    await registry.discover()
    assert tools.market.calls["tasks"] == before


async def test_a_chain_that_goes_back_to_a_head_that_was_looked_at(stage: Stage, tools: Any) -> None:
    outbox = Outbox(1, tools)
    snapshot = ask(stage, "evm_snapshot")
    assert outbox.taken_back() == []
    receipt = stage.chain.transfer(stage.owner, stage.operator.address, 1)
    await outbox.note(Purpose.COMMIT, 0, receipt)
    assert ask(stage, "evm_revert", snapshot)
    for _ in range(2):  # until it is put right
        assert [kept.hash for kept in outbox.taken_back()] == [bytes(receipt["transactionHash"])]
