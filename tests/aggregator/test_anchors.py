"""Rounds of rules with an anchor: what fills slot 0, that nothing else does, and that a missing one ends a round."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from merit.v1.updates_pb2 import UpdateStatus, UploadUpdateRequest

from aggregator import anchors
from aggregator.records import Step
from aggregator.service import Aggregator
from circuits.bn254 import G1Point, sum_points
from circuits.commitment import empty_column
from circuits.linear.gram import gram, padded
from circuits.linear.update_argument import MAX_PROOFS_OF_A_COMMITMENT
from circuits.model import total
from clients.service import AggregatorClient
from contracts.bindings import NOBODY, RoundState, Submission, TaskState, TransactionReverted
from contracts.bindings.devchain import advance_time
from protocol import refusals, wire
from protocol.calls import UPLOAD_UPDATE
from protocol.terms import statement_of
from store.cid import cid_of
from store.objects import encode_model
from tests.aggregator.test_machine import finished
from tests.stage import BOND_WEI, REWARD_WEI, STATEMENT, TRAINERS, Stage, Update

Running = tuple[Aggregator, AggregatorClient]

SUM_TERMS = ("cross_round", "projection")
REFERENCE_TERMS = ("aligned", "shapley_reference")
BOUNDS = {"bound_percent": 0, "l": 1}


@pytest.fixture
async def running(stage: Stage) -> AsyncIterator[Running]:
    async with stage.running() as pair:
        yield pair


@pytest.fixture
def client(running: Running) -> AggregatorClient:
    return running[1]


def updates(stage: Stage, task_id: int, round: int, rounds: int) -> list[Update]:
    """Of all trainers, of which the last one is an outlier."""
    columns = [
        stage.draw(1000 * task_id + 100 * round + i, round=round, rounds=rounds, outlier=i == TRAINERS - 1)
        for i in range(TRAINERS)
    ]
    pairs = zip(stage.trainers, columns, strict=False)
    return [stage.update(task_id, round, trainer, column) for trainer, column in pairs]


def reference(stage: Stage, task_id: int, round: int, rounds: int) -> Update:
    """The owner's own update, which points where honest ones do."""
    return stage.update(task_id, round, stage.owner, stage.draw(9000 + task_id, round=round, rounds=rounds))


async def send(client: AggregatorClient, *sent: Update) -> None:
    for update in sent:
        await client.upload_update(update.header, update.data, update.signer)


def accepted(sent: Sequence[Update], accept: Sequence[bool]) -> list[Update]:
    return [update for update, taken in zip(sent, accept, strict=True) if taken]


def refused(stage: Stage, task_id: int, submissions: Sequence[Submission]) -> str:
    """The name of the error with which the market refuses to commit these to the first round."""
    with pytest.raises(TransactionReverted) as caught:
        stage.market.commit_round(stage.operator, task_id, 0, list(submissions))
    return caught.value.error_name or ""


def submission(update: Update, trainer: str, signature: bytes | None = None) -> Submission:
    signed = update.header.signature if signature is None else signature
    return Submission(trainer=trainer, point=update.point, cid=update.header.cid, signature=signed)


# ------------------------------------------------------------ the previous sum


async def test_a_task_with_the_previous_sum(stage: Stage, client: AggregatorClient) -> None:
    rounds = 3
    task_id = await stage.open_task(client, rounds=rounds, **stage.anchored(*SUM_TERMS, **BOUNDS))
    statement = statement_of(stage.market.task(task_id).config)
    point, column = stage.derived().empty_column, empty_column(STATEMENT.dim, STATEMENT.fmt)
    for number in range(rounds):
        await stage.reached(client, task_id, number, Step.COLLECTING)
        sent = updates(stage, task_id, number, rounds)
        await send(client, *sent)
        await stage.reached(client, task_id, number, Step.PUBLISHED)
        view = stage.market.round(task_id, number)
        assert view.state == RoundState.SETTLED
        assert (view.trainers[0], G1Point(*view.points[0])) == (NOBODY, point)
        assert view.cids[0] == cid_of(encode_model(column))
        assert (view.accept[0], view.scores[0], view.paid_wei[0]) == (False, 0, 0)
        assert view.accept[1:] == (True,) * (TRAINERS - 1) + (False,)
        matrix = padded(gram([column, *(update.column for update in sent)]), STATEMENT.slots)
        accept, score = statement.rule.reference(matrix, statement.active_bits(TRAINERS + 1), **BOUNDS)
        assert ([*map(int, view.accept)], [*view.scores]) == (accept, score)
        taken = accepted(sent, view.accept[1:])
        point, column = sum_points([u.point for u in taken]), total([u.column for u in taken])
    assert (await finished(client, task_id))[-1] == (rounds - 1, Step.PUBLISHED)


async def test_a_previous_sum_survives_a_restart(stage: Stage) -> None:
    terms = stage.anchored(*SUM_TERMS, **BOUNDS)
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client, **terms)
        await send(client, *updates(stage, task_id, 0, 2))
        await stage.reached(client, task_id, 1, Step.COLLECTING)
    async with stage.running() as (_, client):
        await send(client, *updates(stage, task_id, 1, 2))
        assert (await finished(client, task_id))[-1] == (1, Step.PUBLISHED)


async def test_a_previous_sum_takes_a_slot(stage: Stage, client: AggregatorClient) -> None:
    """Five of six are for trainers, so the sixth trainer comes too late although the window is open."""
    task_id = await stage.open_task(client, joined=TRAINERS + 1, **stage.anchored(*SUM_TERMS, **BOUNDS))
    await send(client, *updates(stage, task_id, 0, 2))
    late = stage.update(task_id, 0, stage.trainers[TRAINERS], stage.draw(77))
    with pytest.raises((refusals.RoundFull, refusals.LateUpdate)):
        await send(client, late)
    await stage.reached(client, task_id, 0, Step.COMMITTED)


async def test_nobody_has_no_receipt(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client, rounds=1, **stage.anchored(*SUM_TERMS, **BOUNDS))
    await send(client, *updates(stage, task_id, 0, 1))
    await finished(client, task_id)
    with pytest.raises(refusals.UnknownUpdate):
        await client.update_status(task_id, 0, NOBODY)
    assert (await client.round(task_id, 0)).slots[0].trainer == bytes(20)


async def test_the_empty_column_is_proven_as_often_as_it_takes(stage: Stage, client: AggregatorClient) -> None:
    """Once a task at least; it hides nothing, so nobody counts its proofs."""
    for _ in range(MAX_PROOFS_OF_A_COMMITMENT + 1):
        task_id = await stage.open_task(client, rounds=1, **stage.anchored(*SUM_TERMS, **BOUNDS))
        await send(client, *updates(stage, task_id, 0, 1))
        assert (await finished(client, task_id))[-1] == (0, Step.PUBLISHED)
        assert G1Point(*stage.market.round(task_id, 0).points[0]) == stage.derived().empty_column


async def test_after_a_round_that_accepted_nobody_comes_the_empty_column(
    stage: Stage, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregator, client = running
    task_id = await stage.open_task(client, **stage.anchored(*SUM_TERMS, **BOUNDS))
    task, tools = aggregator.registry.tasks[task_id], aggregator.tools
    assert task.derived is not None
    await send(client, *updates(stage, task_id, 0, 2))
    await stage.reached(client, task_id, 0, Step.PUBLISHED)
    some = anchors.anchor_of_round(1, task, task.derived, tools)
    rejected = [replace(update, accepted=False) for update in tools.state.updates(task_id, 0)]
    monkeypatch.setattr(tools.state, "updates", lambda *_: rejected)
    none = anchors.anchor_of_round(1, task, task.derived, tools)
    assert some is not None
    assert none is not None
    assert none.point == task.derived.empty_column != some.point


async def test_a_sum_that_is_not_of_the_commitments_is_not_committed(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task stops before the bond is at stake."""
    task_id = await stage.open_task(client, **stage.anchored(*SUM_TERMS, **BOUNDS))
    monkeypatch.setattr(anchors, "total", lambda columns: columns[0])
    await send(client, *updates(stage, task_id, 0, 2))
    await stage.reached(client, task_id, 1, Step.COLLECTING)
    await send(client, *updates(stage, task_id, 1, 2))
    assert (await finished(client, task_id))[-1] == (1, Step.COLLECTING)


async def test_the_market_refuses_another_previous_sum(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client, **stage.anchored(*SUM_TERMS, **BOUNDS))
    rows = [submission(u, u.trainer) for u in updates(stage, task_id, 0, 2)]
    other = stage.update(task_id, 0, stage.owner, stage.draw(4))
    assert refused(stage, task_id, [submission(other, NOBODY, b""), *rows]) == "WrongAnchor"
    assert refused(stage, task_id, rows) == "TooFewTrainers"
    empty = replace(rows[0], trainer=stage.owner.address, point=stage.derived().empty_column)
    assert refused(stage, task_id, [empty, *rows]) == "WrongAnchor"


# --------------------------------------------------------- the owner's reference


async def test_a_task_with_the_owners_reference(stage: Stage, client: AggregatorClient) -> None:
    """Whenever it comes among the others."""
    task_id = await stage.open_task(client, **stage.anchored(*REFERENCE_TERMS))
    statement = statement_of(stage.market.task(task_id).config)
    for number, after in enumerate((2, TRAINERS)):
        await stage.reached(client, task_id, number, Step.COLLECTING)
        sent, own = updates(stage, task_id, number, 2), reference(stage, task_id, number, 2)
        await send(client, *sent[:after], own, *sent[after:])
        await stage.reached(client, task_id, number, Step.PUBLISHED)
        view = stage.market.round(task_id, number)
        assert (view.trainers[0], G1Point(*view.points[0])) == (stage.owner.address, own.point)
        assert (view.accept[0], view.scores[0], view.paid_wei[0]) == (False, 0, 0)
        matrix = padded(gram([update.column for update in (own, *sent)]), STATEMENT.slots)
        accept, score = statement.rule.reference(matrix, statement.active_bits(TRAINERS + 1))
        assert ([*map(int, view.accept)], [*view.scores]) == (accept, score)
        assert view.accept[1:] == (True,) * (TRAINERS - 1) + (False,)
        status = await client.update_status(task_id, number, stage.owner.address)
        assert status.status == UpdateStatus.UPDATE_STATUS_SEALED
    assert (await finished(client, task_id))[-1] == (1, Step.PUBLISHED)


async def test_a_round_without_a_reference_ends_and_says_why(
    stage: Stage, client: AggregatorClient, capsys: pytest.CaptureFixture[str]
) -> None:
    task_id = await stage.open_task(client, **stage.anchored(*REFERENCE_TERMS))
    await send(client, *updates(stage, task_id, 0, 2))
    # Every trainer has sent, and the round still waits for the owner; then for nobody any more.
    await asyncio.sleep(0.3)
    assert stage.market.task(task_id).round_state == RoundState.COLLECTING
    await asyncio.to_thread(advance_time, stage.chain, 3700)
    assert (await finished(client, task_id))[-1] == (0, Step.EXPIRED)
    assert stage.market.round(task_id, 0).state == RoundState.EXPIRED
    assert stage.market.credit(task_id, stage.operator.address)[0] == BOND_WEI
    assert stage.market.credit(task_id, stage.owner.address)[0] == 2 * REWARD_WEI
    assert "there is no reference by the owner" in "".join(capsys.readouterr())


async def test_a_reference_is_no_update_of_the_quorum(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client, **stage.anchored(*REFERENCE_TERMS))
    sent = updates(stage, task_id, 0, 2)
    await send(client, reference(stage, task_id, 0, 2), *sent[1:])
    await asyncio.sleep(0.3)
    assert stage.market.task(task_id).round_state == RoundState.COLLECTING
    await send(client, sent[0])
    await stage.reached(client, task_id, 0, Step.COMMITTED)


async def test_an_owner_who_joins_is_the_referee_all_the_same(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.create_task(joined=TRAINERS - 1, **stage.anchored(*REFERENCE_TERMS))
    await asyncio.to_thread(stage.market.join, stage.owner, task_id)
    await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    await asyncio.sleep(0.3)
    assert stage.market.task(task_id).state == TaskState.FUNDED
    await asyncio.to_thread(stage.market.join, stage.trainers[TRAINERS - 1], task_id)
    await stage.reached(client, task_id, 0, Step.COLLECTING)
    await send(client, reference(stage, task_id, 0, 2), *updates(stage, task_id, 0, 2))
    await stage.reached(client, task_id, 0, Step.PUBLISHED)
    assert stage.market.round(task_id, 0).trainers[0] == stage.owner.address


async def test_places_are_the_trainers_and_one_is_the_owners(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client, joined=TRAINERS + 1, **stage.anchored(*REFERENCE_TERMS))
    await send(client, *updates(stage, task_id, 0, 2))
    extra = stage.update(task_id, 0, stage.trainers[TRAINERS], stage.draw(77))
    with pytest.raises(refusals.RoundFull):
        await send(client, extra)
    await send(client, reference(stage, task_id, 0, 2))
    await stage.reached(client, task_id, 0, Step.COMMITTED)


async def test_nobody_else_brings_a_reference(stage: Stage, client: AggregatorClient) -> None:
    """Not a stranger in its own name, nor in the owner's, nor a second time."""
    task_id = await stage.open_task(client, **stage.anchored(*REFERENCE_TERMS))
    strange = stage.update(task_id, 0, stage.outsider, stage.draw(5))
    with pytest.raises(refusals.NotJoined):
        await send(client, strange)
    forged = strange.signer.sign(UPLOAD_UPDATE, strange.header, task_id=task_id, round=0)
    forged.signer = wire.address_bytes(stage.owner.address)
    with pytest.raises(refusals.InvalidSignature):
        await client._insist(lambda: client._updates.UploadUpdate(iter([UploadUpdateRequest(header=forged)])))
    await send(client, reference(stage, task_id, 0, 2))
    with pytest.raises(refusals.SecondUpdate):
        await send(client, stage.update(task_id, 0, stage.owner, stage.draw(6)))


async def test_where_no_rule_wants_a_reference_the_owner_is_a_stranger(stage: Stage, client: AggregatorClient) -> None:
    for terms in ({}, stage.anchored(*SUM_TERMS, **BOUNDS)):
        task_id = await stage.open_task(client, **terms)
        with pytest.raises(refusals.NotJoined):
            await send(client, reference(stage, task_id, 0, 2))


async def test_the_market_refuses_anothers_reference(stage: Stage, client: AggregatorClient) -> None:
    """An aggregator that would put a friend's update into slot 0, or the owner's word for another round."""
    task_id = await stage.open_task(client, **stage.anchored(*REFERENCE_TERMS))
    rows = [submission(u, u.trainer) for u in updates(stage, task_id, 0, 2)]
    assert refused(stage, task_id, rows) == "TooFewTrainers"
    friend = stage.update(task_id, 0, stage.outsider, stage.draw(5))
    assert refused(stage, task_id, [submission(friend, stage.outsider.address), *rows]) == "WrongAnchor"
    assert refused(stage, task_id, [submission(friend, stage.owner.address), *rows]) == "InvalidSignature"
    later = reference(stage, task_id, 1, 2)
    assert refused(stage, task_id, [submission(later, stage.owner.address), *rows]) == "PointOfAnotherRound"
