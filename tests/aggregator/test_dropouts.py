"""Trainers that vanish, dawdle or come too late: no round waits for them longer than its window, and each is told."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import numpy as np
import pytest
from merit.v1.types_pb2 import Chunk
from merit.v1.updates_pb2 import UploadUpdateRequest

from aggregator.records import Step
from aggregator.service import Aggregator
from circuits.fixedpoint import quantize
from clients.memory import Memory
from clients.owner import AsyncOwner
from clients.service import AggregatorClient
from clients.trainer import AsyncTrainer
from contracts.bindings import RoundState, TaskState
from contracts.bindings.devchain import advance_time
from protocol import refusals
from protocol.calls import UPLOAD_UPDATE
from tests.clients.test_restart import life
from tests.stage import BOND_WEI, REWARD_WEI, STATEMENT, TRAINERS, Stage, Update

WINDOW_SECONDS, MARGIN_SECONDS = 3600, 600
STEP = np.linspace(0.3, 0.6, STATEMENT.dim)
LAST = TRAINERS
"""The trainer, of one more than the quorum, on whom nobody can rely."""


def trainer(stage: Stage, client: AggregatorClient, task_id: int, index: int, **changes: Any) -> AsyncTrainer:
    return AsyncTrainer(
        market=stage.market, task_id=task_id, aggregator=client, account=stage.trainers[index],
        prover=stage.prover, directory=stage.directory / f"trainer-{index}", poll_seconds=0.3, **changes,
    )  # fmt: skip


def unreliable(stage: Stage, task_id: int, round: int = 0) -> Update:
    """An update of the trainer who will not manage to send it."""
    return stage.update(task_id, round, stage.trainers[LAST], stage.draw(77, round=round))


def parts(update: Update) -> tuple[UploadUpdateRequest, UploadUpdateRequest, UploadUpdateRequest]:
    """An upload as three messages."""
    header, half = update.header, len(update.data) // 2
    call = update.signer.sign(UPLOAD_UPDATE, header, task_id=header.task_id, round=header.round)
    return (
        UploadUpdateRequest(header=call),
        UploadUpdateRequest(chunk=Chunk(offset_bytes=0, data=update.data[:half])),
        UploadUpdateRequest(chunk=Chunk(offset_bytes=half, data=update.data[half:])),
    )


async def window_ends(stage: Stage, client: AggregatorClient, task_id: int, round: int, *, updates: int) -> None:
    """Lets the time of a round run out, once so many updates are in it."""
    await stage.reached(client, task_id, round, Step.COLLECTING)
    async with asyncio.timeout(60):
        while True:
            if len((await client.round(task_id, round)).slots) >= updates:
                break
            await asyncio.sleep(0.05)
    await asyncio.to_thread(advance_time, stage.chain, WINDOW_SECONDS - MARGIN_SECONDS + 1)


async def require_settled_without(stage: Stage, client: AggregatorClient, task_id: int, round: int) -> None:
    """A round has settled with the quorum's updates, and without the last trainer's."""
    await stage.reached(client, task_id, round, Step.PUBLISHED)
    view = stage.market.round(task_id, round)
    assert view.state == RoundState.SETTLED
    assert set(view.trainers) == {account.address for account in stage.trainers[:TRAINERS]}
    assert 0 < sum(view.paid_wei) <= REWARD_WEI


@pytest.fixture
async def running(stage: Stage) -> AsyncIterator[tuple[Aggregator, AggregatorClient]]:
    async with stage.running(open_when_joined=LAST + 1, commit_margin_seconds=MARGIN_SECONDS) as pair:
        yield pair


@pytest.fixture
def target(running: tuple[Aggregator, AggregatorClient]) -> str:
    return f"127.0.0.1:{running[0].port}"


@pytest.fixture
def client(running: tuple[Aggregator, AggregatorClient]) -> AggregatorClient:
    return running[1]


@pytest.fixture
async def task_id(stage: Stage, client: AggregatorClient) -> int:
    return await stage.open_task(client, joined=LAST + 1)


# -------------------------------------------------------- vanishing in the middle


async def half_sent(client: AggregatorClient, update: Update) -> "asyncio.Future[Any]":
    """An upload that has sent a header and half of the bytes, and then nothing."""
    header, first, _ = parts(update)
    sent = asyncio.Event()

    async def messages() -> AsyncIterator[UploadUpdateRequest]:
        yield header
        yield first
        sent.set()
        await asyncio.sleep(3600)

    call = asyncio.ensure_future(client._updates.UploadUpdate(messages()))
    await sent.wait()
    return call


async def test_a_cut_connection_leaves_no_trace_and_keeps_nobody_waiting(
    stage: Stage, client: AggregatorClient, target: str, task_id: int
) -> None:
    async with AggregatorClient(target) as doomed:
        call = await half_sent(doomed, unreliable(stage, task_id))
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await call
    await stage.send(client, task_id, 0)
    with pytest.raises(refusals.UnknownUpdate):
        await client.update_status(task_id, 0, stage.trainers[LAST].address)
    await window_ends(stage, client, task_id, 0, updates=TRAINERS)
    await require_settled_without(stage, client, task_id, 0)


async def test_whoever_was_cut_off_may_send_again(stage: Stage, client: AggregatorClient, task_id: int) -> None:
    update = unreliable(stage, task_id)
    (await half_sent(client, update)).cancel()
    await client.upload_update(update.header, update.data, update.signer)
    await stage.send(client, task_id, 0)
    await stage.reached(client, task_id, 0, Step.COMMITTED)
    assert stage.trainers[LAST].address in stage.market.round(task_id, 0).trainers


@pytest.mark.slow
async def test_a_process_killed_in_the_middle_is_back_in_the_next_round(
    stage: Stage, client: AggregatorClient, target: str, task_id: int
) -> None:
    plan = {
        "rpc_url": stage.rpc_url,
        "market": stage.market.address,
        "target": target,
        "task": task_id,
        "directory": str(stage.directory / "mortal"),
        "keys": str(stage.directory / "keys"),
        "diary": str(stage.directory / "diary"),
        "last_round": 0,
        "last_effect": "send bytes",
    }
    key = stage.trainers[LAST].key.hex()
    assert await life(plan, key) == -signal.SIGKILL
    await stage.send(client, task_id, 0)
    await window_ends(stage, client, task_id, 0, updates=TRAINERS)
    await require_settled_without(stage, client, task_id, 0)
    again = asyncio.create_task(life(plan | {"last_effect": ""}, key))
    await stage.reached(client, task_id, 1, Step.COLLECTING)
    await stage.send(client, task_id, 1)
    assert await again == 0
    assert stage.trainers[LAST].address in stage.market.round(task_id, 1).trainers


# --------------------------------------------------------------- never, and slowly


async def test_one_who_joins_and_never_sends_holds_nobody_up(
    stage: Stage, client: AggregatorClient, task_id: int
) -> None:
    for number in range(2):
        await stage.reached(client, task_id, number, Step.COLLECTING)
        await stage.send(client, task_id, number)
        await window_ends(stage, client, task_id, number, updates=TRAINERS)
        await require_settled_without(stage, client, task_id, number)
    assert stage.market.task(task_id).state == TaskState.CLOSED
    assert stage.market.credit(task_id, stage.trainers[LAST].address)[0] == 0


async def test_an_upload_that_outlasts_the_window_is_late(stage: Stage, client: AggregatorClient, task_id: int) -> None:
    header, first, second = parts(unreliable(stage, task_id))
    sealed = asyncio.Event()

    async def dawdling() -> AsyncIterator[UploadUpdateRequest]:
        yield header
        yield first
        await sealed.wait()
        yield second

    upload = asyncio.ensure_future(client._insist(lambda: client._updates.UploadUpdate(dawdling())))
    await stage.send(client, task_id, 0)
    await window_ends(stage, client, task_id, 0, updates=TRAINERS)
    await stage.reached(client, task_id, 0, Step.SEALED)
    sealed.set()
    with pytest.raises(refusals.LateUpdate) as caught:
        await upload
    assert caught.value.field == "round"
    await require_settled_without(stage, client, task_id, 0)


async def test_a_trainer_that_is_too_late_is_told_and_goes_on(
    stage: Stage, client: AggregatorClient, task_id: int
) -> None:
    """What it sent in vain takes nothing away from its next update, and adds nothing to it."""
    late = trainer(stage, client, task_id, LAST)
    async with aclosing(late.rounds()) as rounds:
        first = await anext(rounds)
        await stage.send(client, task_id, 0)
        await window_ends(stage, client, task_id, 0, updates=TRAINERS)
        await stage.reached(client, task_id, 0, Step.SEALED)
        assert not await first.submit(first.parameters + STEP)
        assert isinstance(first.missed, refusals.LateUpdate)
        second = await anext(rounds)
        assert second.number == 1
        assert await second.submit(second.parameters + STEP)
        assert second.missed is None
        await stage.send(client, task_id, 1)
        with pytest.raises(StopAsyncIteration):
            await anext(rounds)
    assert [outcome.sent for outcome in await late.history()] == [False, True]
    remembered = Memory(stage.directory / f"trainer-{LAST}").pending(1)
    assert remembered is not None
    sent = stage.opened(remembered.data, task_id, 1, stage.trainers[LAST].address).values
    assert (sent == quantize(STEP, STATEMENT.fmt).values).all()


# ---------------------------------------------------------------- many at a time


async def test_without_a_quorum_the_round_lapses_and_everybody_is_told(stage: Stage, client: AggregatorClient) -> None:
    owner = AsyncOwner(market=stage.market, aggregator=client, account=stage.owner, prover=stage.prover)
    task_id = await stage.create_task(joined=LAST + 1, stake_wei=70)
    await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    staying = range(TRAINERS - 1)
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(
                trainer(stage, client, task_id, index, max_stake_wei=70).run(lambda parameters, *_: parameters + STEP)
            )
            for index in staying
        ]
        owning = group.create_task(owner.withdraw(task_id))
        await window_ends(stage, client, task_id, 0, updates=len(staying))
        await asyncio.to_thread(advance_time, stage.chain, MARGIN_SECONDS + 100)
        models = [model async for model in owner.models(task_id)]
    assert models == []
    # Nobody did wrong: nobody is paid, and stakes go back.
    assert [task.result() for task in running] == [70] * len(staying)
    assert owning.result() == 2 * REWARD_WEI
    await stage.reached(client, task_id, 0, Step.EXPIRED)
    assert stage.market.round(task_id, 0).state == RoundState.EXPIRED
    assert stage.market.withdraw(stage.operator, task_id) == BOND_WEI
    for account in stage.trainers[TRAINERS - 1 : LAST + 1]:
        assert stage.market.withdraw(account, task_id) == 70


@pytest.mark.slow
async def test_all_but_the_quorum_vanish(stage: Stage) -> None:
    """Of nine, four are gone before they send anything; those who stay finish every round."""
    joined = TRAINERS + 4
    async with stage.running(open_when_joined=joined, commit_margin_seconds=MARGIN_SECONDS) as (_, client):
        task_id = await stage.create_task(joined=joined)
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(trainer(stage, client, task_id, index).run(lambda parameters, *_: parameters + STEP))
                for index in range(TRAINERS)
            ]
            for number in range(2):
                await window_ends(stage, client, task_id, number, updates=TRAINERS)
                await require_settled_without(stage, client, task_id, number)
    assert (
        sum(task.result() for task in running) + stage.market.credit(task_id, stage.owner.address)[0] == 2 * REWARD_WEI
    )
    assert all(task.result() for task in running)
