"""Trainers and owners against a running aggregator, honest and not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from merit.v1.types_pb2 import Receipt
from merit.v1.updates_pb2 import GetUpdateStatusResponse

from aggregator.errors import StateUnavailable
from aggregator.records import Step
from circuits.bn254 import FIELD_MODULUS, G1Point
from circuits.errors import FieldError, NotFinite, SrsError
from circuits.fixedpoint import quantize
from circuits.model import denominator
from clients.errors import AggregatorUnreachable, InvalidDownload, InvalidReceipt, InvalidTraining
from clients.local_training import LocalTraining
from clients.memory import Memory
from clients.owner import AsyncOwner, Offer
from clients.parameters import Vector
from clients.sending import check_receipt
from clients.service import AggregatorClient
from clients.trainer import AsyncTrainer
from contracts.bindings import RoundState, TaskState, ValueOutOfRange, eip712
from contracts.bindings.devchain import advance_time
from protocol import refusals, wire
from protocol.terms import UnacceptableTerms
from store.objects import model_size_limit_bytes
from tests.stage import BOND_WEI, REWARD_WEI, STATEMENT, TRAINERS, Stage

STEP = np.linspace(0.3, 0.6, STATEMENT.dim)


def honest(index: int = 0) -> LocalTraining:
    """Everybody goes about the same way; the last trainer of the stage the opposite one."""
    noise = np.random.default_rng(index).normal(scale=0.05, size=STATEMENT.dim)
    direction = -1 if index == TRAINERS - 1 else 1
    return lambda parameters, *_: parameters + direction * (STEP + noise)


def trainer(stage: Stage, client: AggregatorClient, task_id: int, index: int = 0, **changes: Any) -> AsyncTrainer:
    fields: dict[str, Any] = {
        "market": stage.market,
        "task_id": task_id,
        "aggregator": client,
        "account": stage.trainers[index],
        "prover": stage.prover,
        "directory": stage.directory / f"trainer-{index}",
        "poll_seconds": 0.3,
    }
    return AsyncTrainer(**(fields | changes))


def owner(stage: Stage, client: AggregatorClient) -> AsyncOwner:
    return AsyncOwner(market=stage.market, aggregator=client, account=stage.owner, prover=stage.prover)


def offer(stage: Stage, **changes: Any) -> Offer:
    fields: dict[str, Any] = {
        "aggregator": stage.operator.address,
        "verifier": stage.verifier,
        "reward_per_round_wei": REWARD_WEI,
        "bond_wei": BOND_WEI,
        "rounds": 2,
        "quorum": TRAINERS,
    }
    return Offer(**(fields | changes))


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[AggregatorClient]:
    async with stage.running() as (_, connected):
        yield connected


# ------------------------------------------------------------------ the whole way


async def test_a_market_from_offer_to_pay(stage: Stage, client: AggregatorClient) -> None:
    start = np.linspace(-1, 1, STATEMENT.dim)
    task_id = await owner(stage, client).create_task(STATEMENT, start, offer(stage))
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(trainer(stage, client, task_id, i).run(honest(i))) for i in range(TRAINERS)]
        models = [model async for model in owner(stage, client).models(task_id)]
    paid = [task.result() for task in running]
    refunded = await owner(stage, client).withdraw(task_id)

    assert [model.version for model in models] == [1, 2]
    assert all(paid[:-1])
    assert paid[-1] == 0
    assert sum(paid) + refunded == 2 * REWARD_WEI
    # Every accepted trainer went about STEP twice, in exact integers.
    assert np.abs(models[-1].parameters - start - 2 * STEP).max() < 0.2
    assert stage.market.credit(task_id, stage.trainers[0].address)[0] == 0


async def test_a_market_with_stakes_a_list_and_a_learning_rate(stage: Stage, client: AggregatorClient) -> None:
    allowed, asked = tuple(account.address for account in stage.trainers[:TRAINERS]), dict[int, set[float | None]]()

    def growing(parameters: Vector, round: int, learning_rate: float | None) -> Vector:
        """Never closer to the end than before, so that every round but the first is stale."""
        asked.setdefault(round, set()).add(learning_rate)
        return parameters + (1 + 0.3 * round) * STEP

    terms = {"stake_wei": 70, "allowed": allowed, "learning_rate": 0.5, "patience": 1, "rounds": 3, "target_norm": 1}
    task_id = await owner(stage, client).create_task(STATEMENT, STEP, offer(stage, pay_by_round=True, **terms))
    join = {"allowed": allowed, "max_stake_wei": 70}
    running = [trainer(stage, client, task_id, i, **join).run(growing) for i in range(TRAINERS)]
    paid = await asyncio.gather(*running)
    refunded = await owner(stage, client).withdraw(task_id)

    assert asked == {0: {0.5}, 1: {0.5}, 2: {0.25}}
    assert [stage.market.round(task_id, number).halvings for number in range(3)] == [0, 1, 2]
    assert sum(paid) + refunded == 3 * REWARD_WEI + 70 * TRAINERS
    assert stage.market.task(task_id).learning_rate == 1 << 29
    assert stage.market.withdraw(stage.operator, task_id) == BOND_WEI
    assert stage.chain.balance_wei(stage.market.address) == 0


async def test_a_target_ends_a_task_before_its_last_round(
    stage: Stage, client: AggregatorClient, capsys: pytest.CaptureFixture[str]
) -> None:
    target = STATEMENT.dim * 8**2 - 1
    task_id = await owner(stage, client).create_task(STATEMENT, STEP, offer(stage, target_norm=target))
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(trainer(stage, client, task_id, i).run(honest(i))) for i in range(TRAINERS)]
        models = [model async for model in owner(stage, client).models(task_id)]
    assert [model.version for model in models] == [1]
    assert stage.market.task(task_id).state == TaskState.CLOSED
    assert await owner(stage, client).withdraw(task_id) + sum(task.result() for task in running) == 2 * REWARD_WEI
    # For the aggregator it is an end like any other.
    events = capsys.readouterr().out
    assert "task.finished" in events
    assert "task.stopped" not in events


@pytest.mark.parametrize(
    ("asked", "agreed", "field"),
    [
        ({"stake_wei": 8}, {"max_stake_wei": 7}, "stake_wei"),
        ({"allow_root": b"\7" * 32}, {}, "allow_root"),
        ({}, {"allowed": ("0x" + "11" * 20,)}, "allow_root"),
    ],
)
async def test_a_trainer_joins_on_its_own_terms_only(
    stage: Stage, client: AggregatorClient, asked: dict[str, Any], agreed: dict[str, Any], field: str
) -> None:
    task_id = await stage.create_task(joined=0, **asked)
    await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    joining = trainer(stage, client, task_id, **agreed)
    for step in (joining.check, joining.join):
        with pytest.raises(UnacceptableTerms) as caught:
            await step()
        assert caught.value.field == field
    assert not stage.market.has_joined(task_id, stage.trainers[0].address)


@pytest.mark.parametrize(
    ("terms", "error", "field"),
    [
        ({"allowed": ("nobody",)}, ValueOutOfRange, "allowed"),
        ({"stake_wei": -1}, ValueOutOfRange, "stake_wei"),
        ({"target_norm": 2**96}, ValueOutOfRange, "target_norm"),
        ({"target_norm": STATEMENT.dim * 8**2}, UnacceptableTerms, "target_norm"),
        ({"learning_rate": -0.1}, FieldError, "learning_rate"),
        ({"patience": 1}, UnacceptableTerms, "learning_rate"),
        ({"patience": 2**16, "learning_rate": 1.0}, ValueOutOfRange, "patience"),
    ],
)
async def test_an_offer_that_makes_no_sense_costs_nothing(
    stage: Stage, client: AggregatorClient, terms: dict[str, Any], error: type[Any], field: str
) -> None:
    before = stage.market.task_count()
    with pytest.raises(error) as caught:
        await owner(stage, client).create_task(STATEMENT, STEP, offer(stage, **terms))
    assert caught.value.field == field
    assert stage.market.task_count() == before


@pytest.mark.slow
async def test_error_feedback_carries_what_quantisation_took(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.create_task()
    await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    running = [asyncio.create_task(trainer(stage, client, task_id, i).run(honest(i))) for i in range(TRAINERS)]
    await asyncio.gather(*running)
    memory = Memory(stage.directory / "trainer-0")
    carried = np.zeros(STATEMENT.dim)
    for number in range(2):
        pending = memory.pending(number)
        assert pending is not None
        sent = stage.opened(pending.data, task_id, number, stage.trainers[0].address)
        expected = quantize(honest(0)(np.zeros(STATEMENT.dim), number) + carried, STATEMENT.fmt)
        # Equal but for the float noise of subtracting the model's parameters.
        assert np.abs(sent.values - expected.values).max() <= 1
        carried = expected.residual
    last = memory.pending(1)
    assert last is not None
    assert np.abs(last.residual - carried).max() < 2**-STATEMENT.fmt.fraction_bits + 1e-9


@pytest.mark.slow
async def test_a_trainer_outlives_a_restart_of_the_aggregator(stage: Stage) -> None:
    async with stage.running() as (first, client):
        port = first.port
        task_id = await stage.create_task()
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    connection = AggregatorClient(f"127.0.0.1:{port}", patience_seconds=30)
    running = [asyncio.create_task(trainer(stage, connection, task_id, i).run(honest(i))) for i in range(TRAINERS)]
    async with stage.running(port=port) as (_, client):
        await stage.reached(client, task_id, 1, Step.COLLECTING)
    async with stage.running(port=port):
        paid = await asyncio.gather(*running)
    await connection.close()
    assert all(paid[:-1])


# ----------------------------------------------------------------- before joining


@pytest.mark.parametrize(
    ("field", "value"), [("update_key", b"\1" * 32), ("rule_vka", b"\1" * 32), ("quorum", 4), ("empty_column", (1, 2))]
)
async def test_dishonest_terms_are_refused_before_joining(
    field: str, value: object, stage: Stage, client: AggregatorClient
) -> None:
    task_id = await stage.create_task(joined=0, **{field: value})
    with pytest.raises(UnacceptableTerms) as caught:
        await trainer(stage, client, task_id).run(honest())
    assert caught.value.field == field
    assert not stage.market.has_joined(task_id, stage.trainers[0].address)


async def test_another_genesis_model_is_refused_before_joining(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.create_task(joined=0)

    class Lying(AggregatorClient):
        async def download_model(self, task_id: int, version: int, *, limit_bytes: int) -> bytes:
            return stage.genesis_data[:-1] + b"\1"

    with pytest.raises(UnacceptableTerms) as caught:
        await trainer(stage, Lying("127.0.0.1:1"), task_id).run(honest())
    assert caught.value.field == "genesis_cid"
    assert not stage.market.has_joined(task_id, stage.trainers[0].address)


# ----------------------------------------------------------------- in a round


async def test_a_model_that_is_not_the_chains_is_not_trained_from(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await stage.open_task(client)
    patient = trainer(stage, client, task_id)
    await patient.check()
    monkeypatch.setattr(client, "download_model", lambda *_, **__: asyncio.sleep(0, stage.genesis_data[:-1] + b"\1"))
    with pytest.raises(UnacceptableTerms):
        await patient.run(honest())
    with pytest.raises(refusals.UnknownUpdate):
        await client.update_status(task_id, 0, stage.trainers[0].address)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
async def test_not_finite_training_is_an_error_and_sends_nothing(
    poison: float, stage: Stage, client: AggregatorClient
) -> None:
    def diverged(parameters: Vector, *_: object) -> Vector:
        parameters[7] = poison
        return parameters

    task_id = await stage.open_task(client)
    with pytest.raises(NotFinite) as caught:
        await trainer(stage, client, task_id).run(diverged)
    assert caught.value.index == 7
    with pytest.raises(refusals.UnknownUpdate):
        await client.update_status(task_id, 0, stage.trainers[0].address)
    # The round still takes the trainer's update, once it has one.
    await stage.send(client, task_id, 0)


@pytest.mark.parametrize("wrong", [np.zeros(STATEMENT.dim + 1), np.zeros(STATEMENT.dim, dtype=np.int64), np.zeros(0)])
async def test_training_must_return_the_parameters(wrong: Vector, stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client)
    with pytest.raises(InvalidTraining):
        await trainer(stage, client, task_id).run(lambda *_: wrong)


def forgeries(stage: Stage, honest: Receipt) -> dict[str, Receipt]:
    """Receipts that say something else, each signed as well as a dishonest aggregator could."""

    def changed(**fields: Any) -> Receipt:
        message = Receipt()
        message.CopyFrom(honest)
        for name, value in fields.items():
            if name == "point":
                message.point.CopyFrom(value)
            else:
                setattr(message, name, value)
        return message

    return {
        "round": changed(round=1),
        "task_id": changed(task_id=honest.task_id + 1),
        "trainer": changed(trainer=wire.address_bytes(stage.outsider.address)),
        "point_x": changed(point=wire.point_message((1, 2))),
        "point_y": changed(point=wire.point_message(negated(wire.read_point(honest.point)))),
        "cid_digest": changed(cid=b"other"),
        "signature": changed(received_at_seconds=honest.received_at_seconds + 1),
        "signature longer": changed(stored_until_seconds=honest.stored_until_seconds + 1),
        "stored_until_seconds": changed(stored_until_seconds=honest.received_at_seconds + 3600),
        "stored_until_seconds none": changed(stored_until_seconds=0),
        "signature malformed": changed(signature=b""),
    }


def negated(point: G1Point) -> tuple[int, int]:
    """The other point with this x."""
    return point.x, FIELD_MODULUS - point.y


async def test_receipts_are_checked(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client)
    update = stage.update(task_id, 0, stage.trainers[0], stage.draw(1))
    receipt = await client.upload_update(update.header, update.data, update.signer)
    addresses: dict[str, Any] = {
        "market": stage.market,
        "sender": stage.trainers[0].address,
        "aggregator": stage.operator.address,
    }
    sent = eip712.UpdateCommitment(
        task_id=task_id,
        round=0,
        point_x=update.point.x,
        point_y=update.point.y,
        cid_digest=eip712.cid_digest(update.header.cid),
    )
    check_receipt(receipt, sent, **addresses)
    for field, forged in forgeries(stage, receipt).items():
        with pytest.raises(InvalidReceipt) as caught:
            check_receipt(forged, sent, **addresses)
        assert caught.value.field == field.split()[0]
    with pytest.raises(InvalidReceipt):
        check_receipt(receipt, sent, **addresses | {"aggregator": stage.outsider.address})


async def test_a_receipt_that_is_not_the_aggregators_is_not_kept(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that answers an upload, nor one that is asked for later."""
    task_id, memory = await stage.open_task(client), Memory(stage.directory / "trainer-0")
    upload, ask = client.upload_update, client.update_status

    async def forging(*arguments: Any) -> Receipt:
        return forgeries(stage, await upload(*arguments))["signature"]

    async def lying(*arguments: Any) -> GetUpdateStatusResponse:
        found = await ask(*arguments)
        found.receipt.CopyFrom(forgeries(stage, found.receipt)["signature"])
        return found

    monkeypatch.setattr(client, "upload_update", forging)
    monkeypatch.setattr(client, "update_status", lying)
    for _ in range(2):
        with pytest.raises(InvalidReceipt) as caught:
            async with asyncio.timeout(30):
                await trainer(stage, client, task_id).run(honest())
        assert caught.value.field == "signature"
        assert memory.rounds() == [0]
        assert not memory.has_receipt(0)
        monkeypatch.setattr(client, "upload_update", upload)


async def test_what_may_pass_is_tried_again_and_what_stays_is_raised(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.running() as (aggregator, client):
        task_id, state = await stage.open_task(client), aggregator.tools.state
        admit, answers = state.admit, [StateUnavailable("no answer"), refusals.PointAlreadyUsed("point: taken")]

        def failing(*arguments: Any) -> Any:
            if answers:
                raise answers.pop(0)
            return admit(*arguments)

        monkeypatch.setattr(state, "admit", failing)
        async with asyncio.timeout(30), aclosing(trainer(stage, client, task_id).rounds()) as rounds:
            round = await anext(rounds)
            with pytest.raises(refusals.PointAlreadyUsed):
                await round.submit(round.parameters + STEP)
            assert not answers
            assert await round.submit(round.parameters + STEP)


async def test_a_second_submit_changes_nothing(stage: Stage, client: AggregatorClient) -> None:
    """Not even once the round is over."""
    task_id, memory = await stage.open_task(client), Memory(stage.directory / "trainer-0")
    async with aclosing(trainer(stage, client, task_id).rounds()) as rounds:
        round = await anext(rounds)
        assert await round.submit(round.parameters + STEP)
        first = memory.pending(0)
        for index, account in enumerate(stage.trainers[1:TRAINERS], start=1):
            update = stage.update(task_id, 0, account, stage.draw(index))
            await client.upload_update(update.header, update.data, update.signer)
        await stage.reached(client, task_id, 1, Step.COLLECTING)
        assert await round.submit(round.parameters - STEP)
    again = memory.pending(0)
    assert first is not None
    assert again is not None
    assert again.data == first.data


async def test_what_is_not_settled_is_no_outcome_and_no_pay(stage: Stage, client: AggregatorClient) -> None:
    task_id, first = await stage.open_task(client), stage.trainers[0].address
    await stage.send(client, task_id, 0)
    await stage.reached(client, task_id, 1, Step.COLLECTING)
    taking_part = trainer(stage, client, task_id)
    assert [outcome.round for outcome in await taking_part.history()] == [0]
    owed_wei, claimable = stage.market.credit(task_id, first)
    assert owed_wei > 0
    assert not claimable
    assert await taking_part.withdraw() == 0


async def test_a_restarted_trainer_sends_the_same_update(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await stage.open_task(client)

    async def lost(*_: object) -> Receipt:
        raise RuntimeError("killed before the answer came")

    with monkeypatch.context() as patch:
        patch.setattr(client, "upload_update", lost)
        with pytest.raises(RuntimeError):
            await trainer(stage, client, task_id).run(honest())
    made = Memory(stage.directory / "trainer-0").pending(0)
    assert made is not None

    def never(*_: object) -> Vector:
        raise AssertionError("trained again")

    again = asyncio.create_task(trainer(stage, client, task_id).run(never))
    async with asyncio.timeout(20):
        while True:
            try:
                status = await client.update_status(task_id, 0, stage.trainers[0].address)
                break
            except refusals.UnknownUpdate:
                await asyncio.sleep(0.05)
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    assert wire.read_point(status.receipt.point) == made.point


async def test_a_receipt_that_was_never_kept_is_fetched(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the aggregator's word and the disk, and back when the round is over."""
    task_id = await stage.open_task(client)

    def killed(*_: object) -> None:
        raise RuntimeError("killed before it was kept")

    with monkeypatch.context() as patch:
        patch.setattr(Memory, "keep_receipt", killed)
        with pytest.raises(RuntimeError):
            await trainer(stage, client, task_id).run(honest())
    for index, account in enumerate(stage.trainers[1:TRAINERS], start=1):
        update = stage.update(task_id, 0, account, stage.draw(index))
        await client.upload_update(update.header, update.data, update.signer)
    await stage.reached(client, task_id, 1, Step.COLLECTING)
    memory = Memory(stage.directory / "trainer-0")
    assert not memory.has_receipt(0)
    async with aclosing(trainer(stage, client, task_id).rounds()) as rounds:
        assert (await anext(rounds)).number == 1
    assert memory.has_receipt(0)


@pytest.mark.slow
async def test_a_missed_round_costs_only_that_round(stage: Stage, client: AggregatorClient) -> None:
    """Somebody fills the trainer's place with another signed update first: its own is refused, and it goes on."""
    task_id = await stage.open_task(client)
    await stage.send(client, task_id, 0, count=1)
    running = [asyncio.create_task(trainer(stage, client, task_id, i).run(honest(i))) for i in range(TRAINERS)]
    await asyncio.gather(*running)
    assert stage.market.round(task_id, 1).state == RoundState.SETTLED


# --------------------------------------------------------- when the aggregator fails


@pytest.mark.slow
async def test_trainers_end_a_round_that_was_never_settled(stage: Stage) -> None:
    def stuck(*_: object) -> None:
        raise RuntimeError("no prover")

    async with stage.running() as (aggregator, client):
        aggregator.tools.prover.prove = stuck  # type: ignore[method-assign, assignment]
        task_id = await stage.create_task()
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        running = [asyncio.create_task(trainer(stage, client, task_id, i).run(honest(i))) for i in range(TRAINERS)]
        await stage.reached(client, task_id, 0, Step.COMMITTED)
        await asyncio.to_thread(advance_time, stage.chain, 4000)
        paid = await asyncio.gather(*running)
    assert sum(paid) == BOND_WEI
    assert stage.market.task(task_id).state == TaskState.CLOSED


async def test_no_round_is_ended_in_time(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that collects, nor that of a task which is not open yet: the transaction would revert, and cost."""
    ended: list[object] = []
    monkeypatch.setattr(stage.market, "expire_round", lambda *arguments: ended.append(arguments))
    waiting = await stage.create_task(joined=1)
    await client.upload_genesis(waiting, stage.genesis_data, stage.owner_signer)
    for task_id in (await stage.open_task(client), waiting):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await trainer(stage, client, task_id, poll_seconds=0.1).run(honest())
    assert stage.market.task(waiting).state == TaskState.FUNDED
    assert not ended


async def test_unreachable_aggregator_is_said(stage: Stage) -> None:
    async with AggregatorClient("127.0.0.1:1", patience_seconds=0.1) as client:
        with pytest.raises(AggregatorUnreachable) as caught:
            await client.task(1)
        assert caught.value.status == "DEADLINE_EXCEEDED"


async def test_downloads_are_bounded(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.create_task()
    await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    with pytest.raises(InvalidDownload):
        await client.download_model(task_id, 0, limit_bytes=len(stage.genesis_data) - 1)


async def test_a_model_larger_than_the_tasks_is_not_taken(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage.running() as (aggregator, client):
        task_id, most = await stage.open_task(client), model_size_limit_bytes(STATEMENT.dim)
        monkeypatch.setattr(aggregator.tools.store, "get", lambda _: bytes(most + 1))
        with pytest.raises(InvalidDownload):
            await trainer(stage, client, task_id).check()


# ------------------------------------------------------------------------- owners


async def test_an_owner_is_told_of_a_model_that_is_not_the_sum(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await stage.open_task(client, rounds=1)
    await stage.send(client, task_id, 0)
    await stage.reached(client, task_id, 0, Step.PUBLISHED)
    good = await client.download_model(task_id, 1, limit_bytes=1 << 20)
    monkeypatch.setattr(client, "download_model", lambda *_, **__: asyncio.sleep(0, good[:-1] + bytes([good[-1] ^ 1])))
    with pytest.raises(UnacceptableTerms):
        async for _ in owner(stage, client).models(task_id):
            pass


async def test_parameters_must_fit(stage: Stage, client: AggregatorClient) -> None:
    before = stage.market.task_count()
    for wrong in (np.full(STATEMENT.dim, np.nan), np.full(STATEMENT.dim, 1e18)):
        with pytest.raises(FieldError):
            await owner(stage, client).create_task(STATEMENT, wrong, offer(stage))
    with pytest.raises(FieldError):
        most = (1 << 62) // (denominator(STATEMENT.slots) << (STATEMENT.fmt.bits - 1))
        await owner(stage, client).create_task(STATEMENT, STEP, offer(stage, rounds=most + 1))
    assert stage.market.task_count() == before


async def test_no_task_under_a_test_string_on_another_chain(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contracts.bindings.Chain.is_local", False)
    before = stage.market.task_count()
    with pytest.raises(SrsError):
        await owner(stage, client).create_task(STATEMENT, STEP, offer(stage))
    assert stage.market.task_count() == before


async def test_an_owner_may_ask_before_it_escrows(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = np.linspace(-1, 1, STATEMENT.dim)
    count = await asyncio.to_thread(stage.market.task_count)
    with pytest.raises(refusals.TermsRefused) as caught:
        await owner(stage, client).create_task(STATEMENT, start, offer(stage, settle_window_seconds=5), ask_first=True)
    assert caught.value.field == "settle_window_seconds"
    assert await asyncio.to_thread(stage.market.task_count) == count
    task_id = await owner(stage, client).create_task(STATEMENT, start, offer(stage), ask_first=True)
    assert (await client.task(task_id)).has_genesis

    async def another(raw: bytes, signer: object) -> int:
        return task_id

    with monkeypatch.context() as patch:
        patch.setattr(client, "create_task", another)
        with pytest.raises(InvalidReceipt):
            await owner(stage, client).create_task(STATEMENT, start, offer(stage), ask_first=True)
