"""Last models that are sealed for their owner: handed over with the last pay, and read by nobody else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from aggregator.records import Step
from circuits.commitment import Column
from circuits.model import fold
from clients.bundle import Bundle
from clients.collect import Collector
from clients.owner import AsyncOwner
from clients.record import task_record
from clients.service import AggregatorClient
from contracts.bindings import KeyBoard, KeyShare, TaskState, shared_in, shared_with
from process.errors import ConfigurationError
from protocol import last_model, refusals
from protocol.last_model import KeyNotShared
from protocol.terms import UnacceptableTerms
from store.cid import cid_of
from store.errors import MalformedObject, MalformedSeal
from store.interface import Store
from store.objects import decode_model, encode_model
from store.sealed import MAGIC, read_header_of
from tests.aggregator.test_machine import finished
from tests.stage import REWARD_WEI, STATEMENT, TRAINERS, Stage, Update

pytestmark = pytest.mark.slow

SEALED = "multi_krum+projection+sealed"
ANY_UPDATE = (STATEMENT.dim << 2 * (STATEMENT.fmt.bits - 1)) - 1


def owner_of(stage: Stage, client: AggregatorClient, account: Any = None) -> AsyncOwner:
    return AsyncOwner(
        market=stage.market, aggregator=client, account=account or stage.owner, prover=stage.prover
    )  # fmt: skip


async def played(stage: Stage, client: AggregatorClient, count: int, **changes: object) -> tuple[int, list[Column]]:
    """A task with so many rounds played, and the models that follow from the updates."""
    task_id = await stage.open_task(client, rule_name=SEALED, **changes)
    models = [stage.genesis]
    for number in range(count):
        await stage.reached(client, task_id, number, Step.COLLECTING)
        sent = await stage.send(client, task_id, number)
        await stage.reached(client, task_id, number, Step.SETTLED)
        models.append(after(stage, task_id, number, models[-1], sent))
    await finished(client, task_id)
    return task_id, models


def after(stage: Stage, task_id: int, number: int, before: Column, sent: list[Update]) -> Column:
    view, columns = stage.market.round(task_id, number), {update.trainer: update.column for update in sent}
    accepted = [columns[t] for t, taken in zip(view.trainers, view.accept, strict=True) if taken]
    return fold(before, accepted, STATEMENT.slots)


def handed_over(stage: Stage, task_id: int, number: int) -> list[KeyShare]:
    """What came with the transaction that settled a round."""
    [settled] = [e for e in stage.market.events(task_id, round=number) if e.name == "RoundSettled"]
    receipt = stage.chain.receipt(bytes.fromhex(settled.tx_hash[2:]))
    assert receipt is not None
    return shared_in(receipt, stage.owner.address)


def everything(stage: Stage, task_id: int) -> list[KeyShare]:
    begin = stage.market.task(task_id).created_at_block
    return shared_with(stage.chain, stage.owner.address, from_block=begin)


async def test_retrieval_and_payment_are_one_transaction(stage: Stage) -> None:
    async with stage.running() as (aggregator, client):
        task_id, models = await played(stage, client, 2)
        [share] = handed_over(stage, task_id, 1)
        assert everything(stage, task_id) == [share]
        assert handed_over(stage, task_id, 0) == []
        assert share.cid == stage.market.round(task_id, 1).model_cid
        assert stage.market.credit(task_id, stage.trainers[0].address)[0] > 0

        checked = await owner_of(stage, client).model(task_id)
        assert (checked.version, checked.data) == (2, encode_model(models[2]))
        assert checked.sealed is not None
        assert checked.sealed.share() == KeyShare(
            object_id=share.object_id, cid=share.cid, wrapped_key=share.wrapped_key
        )
        followed = [version async for version in owner_of(stage, client).models(task_id)]
        assert [(each.version, each.data) for each in followed] == [
            (number, encode_model(models[number])) for number in (1, 2)
        ]
        assert followed[0].sealed is None
        await nobody_else_reads_it(stage, client, task_id, aggregator.tools.store, encode_model(models[2]))


async def nobody_else_reads_it(
    stage: Stage, client: AggregatorClient, task_id: int, store: Store, plain: bytes
) -> None:
    data = await client.download_model(task_id, 2, limit_bytes=1 << 20)
    assert data.startswith(MAGIC)
    with pytest.raises(MalformedObject):
        decode_model(data, STATEMENT.dim)
    # Not even the aggregator could open it again, should somebody get hold of its key.
    assert read_header_of(data).wrapped_keys == ()
    assert not store.has(cid_of(plain))
    for account in (stage.trainers[0], stage.operator):
        with pytest.raises(KeyNotShared, match=stage.owner.address):
            await owner_of(stage, client, account).model(task_id)
        assert (await owner_of(stage, client, account).model(task_id, 1)).version == 1


@pytest.mark.parametrize(("target_norm", "last"), [(ANY_UPDATE, 0), (1, 1)])
async def test_the_round_that_ends_the_task_is_known_before_it_is_settled(
    target_norm: int, last: int, stage: Stage
) -> None:
    """By its number, or because its proven norm meets the target."""
    async with stage.running() as (_, client):
        task_id, models = await played(stage, client, last + 1, target_norm=target_norm)
        assert stage.market.task(task_id).state == TaskState.CLOSED
        assert [bool(handed_over(stage, task_id, number)) for number in range(last + 1)] == [False] * last + [True]
        checked = await owner_of(stage, client).model(task_id)
        assert (checked.version, checked.data) == (last + 1, encode_model(models[-1]))


async def test_without_being_asked_nothing_is_sealed(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client, rounds=1)
        await stage.send(client, task_id, 0)
        await finished(client, task_id)
        assert everything(stage, task_id) == []
        assert (await owner_of(stage, client, stage.outsider).model(task_id)).sealed is None


@pytest.mark.parametrize("given_with_it", [None, "no key", "the key, before"])
async def test_a_settlement_by_somebody_else_is_followed_by_the_key(
    given_with_it: str | None, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone can settle with the proofs and leave out the key: then it comes in a transaction of its own, unless it is
    on a board already, where the owner finds it, too."""
    async with stage.running() as (aggregator, client):
        board, market = aggregator.tools.board, aggregator.tools.market
        assert board is not None
        settle = board.settle_and_share

        def overtaken(
            account: Any, market_: Any, task_id: int, round: int, settlement: Any, shares: Any, j: Any
        ) -> Any:
            [given] = shares
            if given_with_it == "no key":
                forged = KeyShare(object_id=given.object_id, cid=given.cid, wrapped_key=given.wrapped_key[:-1] + b"?")
                settle(stage.outsider, market_, task_id, round, settlement, [forged])
            else:
                if given_with_it == "the key, before":
                    board.share(stage.outsider, shares)
                market.settle_round(stage.outsider, task_id, round, settlement)
            return settle(account, market_, task_id, round, settlement, shares, j)

        monkeypatch.setattr(board, "settle_and_share", overtaken)
        task_id, models = await played(stage, client, 1, rounds=1)
        assert len(handed_over(stage, task_id, 0)) == (given_with_it == "no key")
        assert len(everything(stage, task_id)) == 1 + (given_with_it == "no key")
        assert (await owner_of(stage, client).model(task_id)).data == encode_model(models[1])


async def test_the_key_is_not_handed_over_before_the_settlement(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object is there before its transaction; it opens for nobody, and the chain has no key."""
    reached, go = asyncio.Event(), asyncio.Event()
    async with stage.running() as (aggregator, client):
        board, loop = aggregator.tools.board, asyncio.get_running_loop()
        assert board is not None
        settle = board.settle_and_share

        def waiting(*args: Any) -> Any:
            loop.call_soon_threadsafe(reached.set)
            asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
            return settle(*args)

        monkeypatch.setattr(board, "settle_and_share", waiting)
        playing = asyncio.create_task(played(stage, client, 1, rounds=1))
        await reached.wait()
        [task_id] = aggregator.registry.tasks
        kept = aggregator.tools.state.model(task_id, 1)
        assert kept is not None
        assert aggregator.tools.store.has(kept.cid)
        assert everything(stage, task_id) == []
        with pytest.raises(refusals.UnknownModel):
            await owner_of(stage, client).model(task_id, 1)
        view = stage.market.task(task_id)
        with pytest.raises(KeyNotShared):
            last_model.open_sealed(aggregator.tools.store.get(kept.cid), stage.market, view, stage.owner)
        go.set()
        await playing


async def test_an_owner_is_told_of_a_last_model_that_is_another_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealed as it should be, with the right key: what it holds does not open the commitment."""
    monkeypatch.setattr("aggregator.handover.encode_model", lambda _: stage.genesis_data)
    async with stage.running() as (_, client):
        task_id, _ = await played(stage, client, 1, rounds=1)
        with pytest.raises(UnacceptableTerms, match="commitment on chain"):
            await owner_of(stage, client).model(task_id)


async def test_an_owner_is_told_of_a_last_model_in_the_clear(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an aggregator does that takes such a task on and does not keep to it; the log shows it to everybody."""
    monkeypatch.setattr("aggregator.handover.Handover.is_due", lambda *_: False)
    async with stage.running() as (_, client):
        task_id, _ = await played(stage, client, 1, rounds=1)
        assert everything(stage, task_id) == []
        with pytest.raises(MalformedSeal):
            await owner_of(stage, client).model(task_id)


async def test_an_owners_bundle_holds_the_last_model_sealed(stage: Stage, tmp_path: Path) -> None:
    async with stage.running() as (_, client):
        task_id, models = await played(stage, client, 2)
        bundle = Bundle(tmp_path / "bundle")
        collector = Collector(
            bundle, market=stage.market, aggregator=client, prover=stage.prover, task_id=task_id
        )  # fmt: skip
        bundle.root.mkdir()
        async for checked in owner_of(stage, client).models(task_id):
            await collector.add(checked)
    assert task_record(stage.market, task_id, []).seal_last_model
    assert (bundle.root / "round-1" / "model.safetensors").read_bytes() == encode_model(models[1])
    assert not (bundle.root / "round-2" / "model.safetensors").exists()
    [share] = handed_over(stage, task_id, 1)
    found = bundle.sealed_model(1, STATEMENT.dim)
    assert (cid_of(found.data), found.key.to_bytes()) == (share.cid, share.wrapped_key)


# ---------------------------------------------------------------- who is refused


async def refusal_of(stage: Stage, client: AggregatorClient, task_id: int) -> str:
    with pytest.raises(refusals.InvalidField) as caught:
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    return caught.value.message


async def test_without_a_board_such_a_task_is_not_served(stage: Stage) -> None:
    async with stage.running(key_board=None) as (_, client):
        task_id = await stage.create_task(rule_name=SEALED)
        assert "key_board" in await refusal_of(stage, client, task_id)
        with pytest.raises(refusals.TermsRefused, match="key_board"):
            await client.create_task(
                await asyncio.to_thread(signed_creation, stage, rule_name=SEALED), stage.owner_signer
            )  # fmt: skip


def signed_creation(stage: Stage, **changes: object) -> bytes:
    from contracts.bindings import sign_create_task

    return sign_create_task(stage.market, stage.owner, stage.task_config(**changes))


async def test_an_owner_that_signs_nothing_cannot_have_it_sealed(stage: Stage) -> None:
    """As a contract: its calls are in transactions that others sign."""
    eth, contract = stage.chain.w3, to_checksum_address("0x" + "c0" * 20)
    for method, params in (
        ("anvil_impersonateAccount", [contract]),
        ("anvil_setBalance", [contract, hex(10**20)]),
    ):
        eth.provider.make_request(method, params)  # type: ignore[arg-type]
    fn, value_wei = stage.market.create_task_call(stage.task_config(rule_name=SEALED))
    tx_hash = fn.transact({"from": contract, "value": value_wei})  # type: ignore[typeddict-item]
    task_id = stage.market.created(stage.chain.wait(tx_hash))
    async with stage.running() as (_, client):
        assert f"public key of {contract}" in await refusal_of(stage, client, task_id)


async def test_what_is_no_board_is_said_at_the_start(stage: Stage) -> None:
    for address in (stage.market.address, stage.outsider.address):
        with pytest.raises(ConfigurationError, match=r"key_board: .*not the key board"):
            await asyncio.to_thread(stage.aggregator, key_board=address)
    with pytest.raises(ValueError, match="key_board"):
        stage.config(key_board="0x12")
    assert isinstance(stage.aggregator().tools.board, KeyBoard)


# -------------------------------------------------------- reorganisations, others


async def test_pay_of_a_task_with_a_sealed_model_is_as_of_any_other(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id, _ = await played(stage, client, 1, rounds=1)
    paid = [stage.market.credit(task_id, trainer.address)[0] for trainer in stage.trainers[:TRAINERS]]
    assert REWARD_WEI - TRAINERS < sum(paid) <= REWARD_WEI
    assert paid[-1] == 0
