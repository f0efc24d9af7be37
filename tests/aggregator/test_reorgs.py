"""What the chain takes back is taken back here, said, and done again; what nobody can take back waits until then."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hexbytes import HexBytes

from aggregator.errors import DeepReorg
from aggregator.finality import DEPTH_BLOCKS
from aggregator.handover import Handover
from aggregator.outbox import Outbox
from aggregator.records import Step
from aggregator.service import Aggregator
from circuits.bn254 import G1Point
from circuits.commitment import check_opening
from circuits.prover import Prover
from clients.service import AggregatorClient
from contracts.bindings import RoundState, TaskState, shared_with
from contracts.bindings.devchain import advance_time, anvil_chain
from protocol import refusals
from protocol.last_model import open_sealed
from store.cid import to_text
from store.objects import decode_model
from tests.stage import STATEMENT, TRAINERS, Stage

pytestmark = pytest.mark.slow

DEPTH = 6


@pytest.fixture
def stage(prover: Prover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """On a chain of its own."""
    monkeypatch.setattr("protocol.terms.check_verifier", lambda chain, verifier: None)
    with anvil_chain() as local:
        yield Stage(local, prover, tmp_path)


def mine(stage: Stage, blocks: int = DEPTH) -> None:
    stage.chain.w3.provider.make_request("anvil_mine", [blocks])  # type: ignore[arg-type]


def reorganise(stage: Stage, blocks: int) -> None:
    """The last blocks are replaced by empty ones; nodes have forgotten their transactions."""
    answer = stage.chain.w3.provider.make_request("anvil_reorg", [blocks, []])  # type: ignore[arg-type]
    assert "error" not in answer, answer


class Journal:
    """What a watcher saw, in order."""

    def __init__(self, client: AggregatorClient, task_id: int) -> None:
        self.seen: list[tuple[int, Step, bool]] = []
        self.transactions: list[bytes] = []
        self.cursors: list[int] = []
        self._following = asyncio.create_task(self._follow(client, task_id))

    async def _follow(self, client: AggregatorClient, task_id: int) -> None:
        async for report in client.watch(task_id):
            self.seen.append((report.round, Step(report.report.step), report.report.rolled_back))
            self.transactions.append(report.report.transaction)
            self.cursors.append(report.cursor)

    async def until(self, round: int, step: Step, *, rolled_back: bool = False, after: int = 0) -> int:
        """How many reports there were, once this one has come."""
        async with asyncio.timeout(60):
            while (round, step, rolled_back) not in self.seen[after:]:
                assert not self._following.done(), self.seen
                await asyncio.sleep(0.02)
        return self.seen.index((round, step, rolled_back), after) + 1

    async def end(self, stage: Stage) -> None:
        """Once nothing can be taken back any more, for blocks go on."""
        async with asyncio.timeout(60):
            while not self._following.done():
                mine(stage, 1)
                await asyncio.sleep(0.05)
            await self._following
        assert self.cursors == sorted(set(self.cursors))


async def bonded(stage: Stage, client: AggregatorClient, **changes: object) -> tuple[int, Journal, int]:
    """A task whose first round collects, though its bond may be taken back; and the cursor of that step."""
    task_id = await stage.create_task(**changes)  # type: ignore[arg-type]
    mine(stage)
    await _until_served(client, task_id)
    await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    journal = Journal(client, task_id)
    return task_id, journal, await journal.until(0, Step.COLLECTING)


async def begin(stage: Stage, client: AggregatorClient, **changes: object) -> tuple[int, Journal]:
    """A task whose bond is final, and whose first round collects."""
    task_id, journal, _ = await bonded(stage, client, **changes)
    mine(stage)
    return task_id, journal


def happened(stage: Stage, task_id: int) -> Counter[str]:
    """The market's events of a task, on the chain as it is now."""
    return Counter(event.name for event in stage.market.events(task_id))


def made(stage: Stage) -> int:
    """Proofs of rules."""
    return len(stage.prover.proven)


async def test_a_commit_that_is_gone_is_sent_again(stage: Stage) -> None:
    async with stage.running(reorg_depth_blocks=DEPTH) as (_, client):
        task_id, journal = await begin(stage, client, rounds=1)
        sent = await stage.send(client, task_id, 0)
        first = await journal.until(0, Step.COMMITTED)
        reorganise(stage, 1)
        assert happened(stage, task_id)["RoundCommitted"] == 0
        back = await journal.until(0, Step.SEALED, rolled_back=True, after=first)
        again = await journal.until(0, Step.COMMITTED, after=back)
        assert journal.transactions[first - 1] == journal.transactions[again - 1] != b""
        mine(stage)
        await journal.until(0, Step.PUBLISHED)
        await journal.end(stage)
        assert [u.point for u in sent] == [G1Point(*point) for point in stage.market.round(task_id, 0).points]
    assert happened(stage, task_id)["RoundCommitted"] == 1
    assert made(stage) == 1


async def test_no_proof_is_made_before_the_commit_is_deep(stage: Stage) -> None:
    async with stage.running(reorg_depth_blocks=DEPTH) as (aggregator, client):
        task_id, journal = await begin(stage, client, rounds=1)
        sent = await stage.send(client, task_id, 0)
        await journal.until(0, Step.COMMITTED)
        for _ in range(DEPTH - 1):
            mine(stage, 1)
            await aggregator.registry.tasks[task_id].refresh(aggregator.tools)
            await asyncio.sleep(0.2)
        assert made(stage) == 0
        assert journal.seen[-1][1] == Step.COMMITTED
        mine(stage, 1)
        await journal.until(0, Step.LINEAR_PROVEN)
        for _ in range(2):  # one of the three that each may have
            aggregator.tools.state.count_argument([update.point for update in sent])


async def test_proofs_do_not_wait_for_ever(stage: Stage) -> None:
    """On a chain that stands still they begin after a quarter of the window."""
    async with stage.running(reorg_depth_blocks=DEPTH) as (_, client):
        task_id, journal = await begin(stage, client, rounds=1)
        await stage.send(client, task_id, 0)
        await journal.until(0, Step.COMMITTED)
        await asyncio.to_thread(advance_time, stage.chain, 1000)
        await journal.until(0, Step.PUBLISHED)


async def test_a_settlement_that_is_gone_is_sent_again(stage: Stage) -> None:
    """With what came after it; updates of the next round, which have receipts, stay."""
    async with stage.running(reorg_depth_blocks=DEPTH) as (_, client):
        task_id, journal = await begin(stage, client)
        await stage.send(client, task_id, 0)
        await journal.until(0, Step.COMMITTED)
        mine(stage)
        await journal.until(1, Step.COLLECTING)
        sent = await stage.send(client, task_id, 1, count=TRAINERS - 1)
        settled = stage.market.events(task_id, round=0)[-2]
        assert settled.name == "RoundSettled"
        reorganise(stage, stage.chain.block_number() - settled.block_number + 1)
        assert stage.market.task(task_id).current_round == 0
        back = await journal.until(0, Step.RULE_PROVEN, rolled_back=True)
        await journal.until(0, Step.PUBLISHED, after=back)
        last = stage.update(task_id, 1, stage.trainers[TRAINERS - 1], stage.draw(1, round=1))
        await client.upload_update(last.header, last.data, last.signer)
        await journal.until(1, Step.COMMITTED)
        mine(stage)
        await journal.until(1, Step.PUBLISHED)
        await journal.end(stage)
        assert list(stage.market.round(task_id, 1).points) == [u.point for u in (*sent, last)]
        model = decode_model(await client.download_model(task_id, 2, limit_bytes=1 << 20), STATEMENT.dim)
        check_opening(model, G1Point(*stage.market.model_commitment(task_id)), stage.srs)
    seen = happened(stage, task_id)
    assert (seen["RoundCommitted"], seen["RoundSettled"], seen["ModelPublished"], seen["TaskClosed"]) == (2, 2, 2, 1)
    assert made(stage) == 2


async def test_a_task_is_not_over_before_its_end_is_deep(stage: Stage) -> None:
    async with stage.running(reorg_depth_blocks=DEPTH) as (aggregator, client):
        task_id, journal = await begin(stage, client, rounds=1)
        await stage.send(client, task_id, 0)
        await journal.until(0, Step.COMMITTED)
        mine(stage)
        end = await journal.until(0, Step.PUBLISHED)
        assert stage.market.task(task_id).state == TaskState.CLOSED
        assert not aggregator.registry.tasks[task_id].finished
        reorganise(stage, 2)
        back = await journal.until(0, Step.RULE_PROVEN, rolled_back=True, after=end)
        await journal.until(0, Step.PUBLISHED, after=back)
        await journal.end(stage)
    assert stage.market.round(task_id, 0).state == RoundState.SETTLED


async def test_a_bond_that_is_gone_is_posted_again(stage: Stage) -> None:
    async with stage.running(reorg_depth_blocks=DEPTH) as (_, client):
        task_id, journal, first = await bonded(stage, client, rounds=1)
        early = stage.update(task_id, 0, stage.trainers[0], stage.draw(0))
        receipt = await client.upload_update(early.header, early.data, early.signer)
        await asyncio.to_thread(advance_time, stage.chain, 100)
        reorganise(stage, stage.chain.block_number() - stage.market.events(task_id)[-1].block_number + 1)
        await journal.until(0, Step.COLLECTING, rolled_back=True, after=first)
        assert stage.market.task(task_id).state == TaskState.OPEN
        for index, trainer in enumerate(stage.trainers[1:TRAINERS], start=1):
            update = stage.update(task_id, 0, trainer, stage.draw(index))
            await client.upload_update(update.header, update.data, update.signer)
        await journal.until(0, Step.COMMITTED)
        described = await client.round(task_id, 0)
        assert described.slots[0].cid == receipt.cid
        mine(stage)
        await journal.until(0, Step.PUBLISHED)
    assert happened(stage, task_id)["BondPosted"] == 1
    assert [seen for seen in journal.seen if seen[1] == Step.COLLECTING] == [
        (0, Step.COLLECTING, False),
        (0, Step.COLLECTING, True),
    ]


async def test_a_round_that_begins_in_another_block_at_the_same_time_is_reported(stage: Stage) -> None:
    """The bond's transaction is mined again, in a block of the same second: only that block's hash is another."""
    async with stage.running(reorg_depth_blocks=DEPTH) as (_, client):
        task_id, journal, first = await bonded(stage, client, rounds=1)
        view, opened = stage.market.task(task_id), stage.market.events(task_id)[-1]
        raw = stage.chain.w3.eth.get_raw_transaction(HexBytes(opened.tx_hash)).to_0x_hex()
        timestamp = stage.chain.w3.eth.get_block(opened.block_number)["timestamp"]
        request = stage.chain.w3.provider.make_request
        blocks = stage.chain.block_number() - opened.block_number
        request("evm_setAutomine", [False])  # type: ignore[arg-type]
        for method, params in (
            ("anvil_rollback", [blocks + 1]),
            ("evm_setNextBlockTimestamp", [timestamp]),
            ("anvil_setCoinbase", [stage.outsider.address]),
            ("eth_sendRawTransaction", [raw]),
            ("evm_mine", []),
            ("evm_setAutomine", [True]),
        ):
            answer = request(method, params)  # type: ignore[arg-type]
            # The aggregator may have sent it again by itself.
            assert "error" not in answer or method == "eth_sendRawTransaction", (method, answer)
        again = stage.market.events(task_id)[-1]
        assert stage.market.task(task_id).deadline_seconds == view.deadline_seconds
        assert (again.tx_hash, again.block_number) == (opened.tx_hash, opened.block_number)
        assert again.block_hash != opened.block_hash
        await journal.until(0, Step.COLLECTING, rolled_back=True, after=first)


async def _until_served(client: AggregatorClient, task_id: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await client.task(task_id)
                return
            except refusals.UnknownTask:
                await asyncio.sleep(0.02)


async def test_who_is_no_trainer_any_more_is_left_out(stage: Stage) -> None:
    """One whose joining was taken back would make the contract refuse everybody's updates."""
    async with stage.running(reorg_depth_blocks=DEPTH) as (_, client):
        task_id, journal = await begin(stage, client, rounds=1)
        late = stage.trainers[TRAINERS]
        await asyncio.to_thread(stage.market.join, late, task_id)
        await stage.send(client, task_id, 0, count=TRAINERS + 1)
        first = await journal.until(0, Step.COMMITTED)
        assert len(stage.market.round(task_id, 0).trainers) == TRAINERS + 1
        reorganise(stage, 2)
        assert not stage.market.has_joined(task_id, late.address)
        back = await journal.until(0, Step.COLLECTING, rolled_back=True, after=first)
        await journal.until(0, Step.COMMITTED, after=back)
        mine(stage)
        await journal.until(0, Step.PUBLISHED)
        trainers = stage.market.round(task_id, 0).trainers
        assert trainers == tuple(t.address for t in stage.trainers[:TRAINERS])
        assert len((await client.round(task_id, 0)).slots) == TRAINERS
    assert made(stage) == 1


async def test_an_expiry_that_is_gone_is_sent_again(stage: Stage) -> None:
    async with stage.running(reorg_depth_blocks=DEPTH) as (_, client):
        task_id, journal = await begin(stage, client, rounds=1)
        await stage.send(client, task_id, 0, count=TRAINERS - 1)
        await asyncio.to_thread(advance_time, stage.chain, 3700)
        first = await journal.until(0, Step.EXPIRED)
        reorganise(stage, 1)
        back = await journal.until(0, Step.SEALED, rolled_back=True, after=first)
        await journal.until(0, Step.EXPIRED, after=back)
        await journal.end(stage)
    assert happened(stage, task_id)["RoundExpired"] == 1


async def test_a_reorganisation_while_the_aggregator_is_down_is_followed(stage: Stage) -> None:
    async with stage.running(reorg_depth_blocks=DEPTH) as (_, client):
        task_id, journal = await begin(stage, client, rounds=1)
        await stage.send(client, task_id, 0)
        first = await journal.until(0, Step.COMMITTED)
    reorganise(stage, 1)
    async with stage.running(reorg_depth_blocks=DEPTH) as (_, client):
        journal = Journal(client, task_id)
        back = await journal.until(0, Step.SEALED, rolled_back=True, after=first)
        await journal.until(0, Step.COMMITTED, after=back)
        mine(stage)
        await journal.until(0, Step.PUBLISHED)
    assert happened(stage, task_id)["RoundCommitted"] == 1


async def test_a_task_is_served_once_it_cannot_vanish(stage: Stage) -> None:
    """What takes its id afterwards is another task."""
    async with stage.running(reorg_depth_blocks=DEPTH) as (aggregator, client):
        vanished = await stage.create_task(rounds=2)
        await aggregator.registry.discover()
        with pytest.raises(refusals.UnknownTask):
            await client.task(vanished)
        reorganise(stage, TRAINERS + 1)
        task_id = await stage.create_task(rounds=1)
        assert task_id == vanished
        mine(stage)
        await _until_served(client, task_id)
        assert (await client.task(task_id)).rounds == 1


async def test_a_trainer_whose_log_comes_late_is_not_left_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract knows it, and so did the service when it took the update."""
    late = stage.trainers[0].address
    async with stage.running(open_when_joined=TRAINERS - 1) as (aggregator, client):
        market = aggregator.tools.market
        read = market.events
        monkeypatch.setattr(
            market, "events", lambda *args, **kw: [e for e in read(*args, **kw) if e.args.get("trainer") != late]
        )
        task_id = await stage.open_task(client, rounds=1)
        for index, account in enumerate(stage.trainers[:TRAINERS]):
            update = stage.update(task_id, 0, account, stage.draw(index, outlier=index == TRAINERS - 1))
            await client.upload_update(update.header, update.data, update.signer)
            mine(stage, 1)
            async with asyncio.timeout(60):
                while aggregator.tools.finality.look(60).latest < stage.chain.block_number():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)  # for what follows from it
        await stage.reached(client, task_id, 0, Step.COMMITTED)
    assert late in stage.market.round(task_id, 0).trainers


async def test_a_round_is_sealed_by_a_fresh_look(stage: Stage) -> None:
    """While it collects, the chain may have been looked at a while ago; who has joined since then is waited for."""
    async with stage.running(poll_seconds=30, open_when_joined=TRAINERS) as (_, client):
        task_id = await stage.create_task(joined=TRAINERS, rounds=1)
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        await stage.reached(client, task_id, 0, Step.COLLECTING)
        await stage.send(client, task_id, 0, count=TRAINERS - 1)
        await asyncio.to_thread(stage.market.join, stage.trainers[TRAINERS], task_id)
        for index in (TRAINERS - 1, TRAINERS):
            column = stage.draw(index)
            update = stage.update(task_id, 0, stage.trainers[index], column)
            await client.upload_update(update.header, update.data, update.signer)
            await asyncio.sleep(0.5)  # for a seal that would come too early
        await stage.reached(client, task_id, 0, Step.SEALED)


async def test_a_deeper_reorganisation_stops_the_aggregator(stage: Stage) -> None:
    """And again at each start, until the operator says how deep they are: then it is followed."""
    depth = 2
    async with stage.running(reorg_depth_blocks=depth) as (_, client):
        task_id, journal = await begin(stage, client, rounds=1)
        await stage.send(client, task_id, 0)
        await journal.until(0, Step.COMMITTED)
        before = stage.chain.w3.eth.get_transaction_count(stage.operator.address)
    mine(stage, 1)
    for _ in range(2):
        aggregator = await asyncio.to_thread(stage.aggregator, reorg_depth_blocks=depth)
        running = asyncio.create_task(aggregator.run())
        if stage.market.round(task_id, 0).state == RoundState.COMMITTED:
            head = aggregator.tools.finality.look()
            assert head.final == head.latest - depth
            reorganise(stage, depth + 3)
        with pytest.raises(DeepReorg) as caught:
            await running
        assert caught.value.depth_blocks == depth
        assert "reorg_depth_blocks" in str(caught.value)
        aggregator.close()
    assert stage.chain.w3.eth.get_transaction_count(stage.operator.address) < before  # nothing was sent again

    async with stage.running(reorg_depth_blocks=20) as (_, client):
        journal = Journal(client, task_id)
        back = await journal.until(0, Step.SEALED, rolled_back=True)
        await journal.until(0, Step.COMMITTED, after=back)
        mine(stage, 20)
        await journal.until(0, Step.PUBLISHED)
    assert happened(stage, task_id)["RoundSettled"] == 1


def test_chains_of_value_are_followed_by_default(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    aggregator = stage.aggregator()
    assert aggregator.tools.finality.depth_blocks == 0
    aggregator.close()
    monkeypatch.setattr("contracts.bindings.chain.LOCAL_CHAIN_IDS", frozenset[int]())
    aggregator = stage.aggregator(data_directory=stage.directory / "other")
    assert aggregator.tools.finality.depth_blocks == DEPTH_BLOCKS
    aggregator.close()


async def test_a_handover_that_is_gone_is_sent_again_with_the_same_key(stage: Stage) -> None:
    async with stage.running(reorg_depth_blocks=DEPTH) as (aggregator, client):
        task_id, journal = await begin(stage, client, rounds=1, rule_name=STATEMENT.rule.name + "+sealed")
        await stage.send(client, task_id, 0)
        await journal.until(0, Step.COMMITTED)
        mine(stage)
        first = await journal.until(0, Step.PUBLISHED)
        owner, begun = stage.owner.address, stage.market.task(task_id).created_at_block
        [given] = shared_with(stage.chain, owner, from_block=begun)
        sealed = aggregator.tools.state.model(task_id, 1)
        reorganise(stage, 2)
        assert shared_with(stage.chain, owner, from_block=begun) == []
        await journal.until(0, Step.PUBLISHED, after=first)
        await journal.end(stage)
        assert shared_with(stage.chain, owner, from_block=begun) == [given]
        assert aggregator.tools.state.model(task_id, 1) == sealed
    assert happened(stage, task_id)["RoundSettled"] == 1


async def test_what_was_sealed_for_other_updates_is_not_handed_over(stage: Stage) -> None:
    """As before a reorganisation that took a trainer's update along; nor is what the store has lost since."""
    async with stage.running(reorg_depth_blocks=DEPTH) as (aggregator, client):
        task_id, journal = await begin(stage, client, rounds=1, rule_name=STATEMENT.rule.name + "+sealed")
        sent = await stage.send(client, task_id, 0)
        await journal.until(0, Step.COMMITTED)
        state, handover = aggregator.tools.state, handover_of(aggregator, task_id)
        judged = [replace(update, accepted=True) for update in state.updates(task_id, 0)]
        one, other = await handover.model(0, judged), await handover.model(0, judged[:-1])
        assert one.point != other.point
        assert one.cid != other.cid
        assert await handover.model(0, judged[:-1]) == other == state.model(task_id, 1)
        for path in (stage.directory / "aggregator" / "objects").glob(f"??/{to_text(other.cid)}"):
            path.unlink()
        assert (await handover.model(0, judged[:-1])).cid not in (one.cid, other.cid)
        mine(stage)
        await journal.until(0, Step.PUBLISHED)
        await journal.end(stage)
        data = await client.download_model(task_id, 1, limit_bytes=1 << 20)
        opened, _ = open_sealed(data, stage.market, stage.market.task(task_id), stage.owner)
        check_opening(decode_model(opened, STATEMENT.dim), G1Point(*stage.market.model_commitment(task_id)), stage.srs)
        assert len(sent) == TRAINERS


def handover_of(aggregator: Aggregator, task_id: int) -> Handover:
    """A handover of a task that is served."""
    task, tools = aggregator.registry.tasks[task_id], aggregator.tools
    assert task.derived is not None
    return Handover(task, task.derived, tools, Outbox(task_id, tools))
