"""Markets whose rule has an anchor, from the offer to the pay: owners give references, trainers take part as ever."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuits.fixedpoint import quantize
from clients.config import OwnerConfig
from clients.errors import InvalidReceipt, InvalidTraining
from clients.parameters import Vector
from clients.run import reference_of
from clients.service import AggregatorClient
from contracts.bindings import NOBODY, TaskState
from process.errors import ConfigurationError
from tests.clients.test_trainer import STEP, honest, offer, owner, trainer
from tests.stage import REWARD_WEI, STATEMENT, TRAINERS, Stage

REFERENCE = replace(STATEMENT, outlier="aligned", contribution="shapley", rule_params={})
SUM = replace(STATEMENT, outlier="cross_round", contribution="projection", rule_params={"bound_percent": 0, "l": 1})


def ahead(parameters: Vector, *_: object) -> Vector:
    """The owner's training: about where honest trainers go."""
    return parameters + 0.5 * STEP


async def test_a_market_with_a_previous_sum(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await owner(stage, client).create_task(SUM, STEP, offer(stage))
        paid = await asyncio.gather(*(trainer(stage, client, task_id, i).run(honest(i)) for i in range(TRAINERS)))
        refunded = await owner(stage, client).withdraw(task_id)
    assert stage.market.round(task_id, 1).trainers[0] == NOBODY
    assert all(paid[:-1])
    assert paid[-1] == 0
    assert sum(paid) + refunded == 2 * REWARD_WEI


async def test_a_market_with_a_reference(stage: Stage) -> None:
    async with stage.running() as (aggregator, client):
        giving = owner(stage, client)
        task_id = await giving.create_task(REFERENCE, STEP, offer(stage))
        async with asyncio.TaskGroup() as group:
            group.create_task(giving.give_references(task_id, ahead))
            running = [group.create_task(trainer(stage, client, task_id, i).run(honest(i))) for i in range(TRAINERS)]
        paid = [task.result() for task in running]
        refunded = await giving.withdraw(task_id)
        for number in range(2):
            view = stage.market.round(task_id, number)
            assert view.trainers[0] == stage.owner.address
            data = aggregator.tools.store.get(view.cids[0])
            values = stage.opened(data, task_id, number, stage.owner.address).values
            assert (values == quantize(0.5 * STEP, STATEMENT.fmt).values).all()
    assert all(paid[:-1])
    assert paid[-1] == 0
    assert sum(paid) + refunded == 2 * REWARD_WEI
    assert stage.market.task(task_id).state == TaskState.CLOSED


async def test_an_owner_that_starts_again_leaves_the_reference_that_it_gave(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await owner(stage, client).create_task(REFERENCE, STEP, offer(stage, rounds=1))
        for account in stage.trainers[:TRAINERS]:
            await asyncio.to_thread(stage.market.join, account, task_id)
        await stage.reached(client, task_id, 0, 1)
        given = []
        for _ in range(2):
            await owner(stage, client)._give_reference(task_id, 0, ahead)
            given.append((await client.round(task_id, 0)).slots[0].cid)
        assert given[0] == given[1]


async def test_an_owner_checks_its_receipt_and_its_training(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage.running() as (_, client):
        task_id = await owner(stage, client).create_task(REFERENCE, STEP, offer(stage, rounds=1))
        for account in stage.trainers[:TRAINERS]:
            await asyncio.to_thread(stage.market.join, account, task_id)
        await stage.reached(client, task_id, 0, 1)
        with pytest.raises(InvalidTraining):
            await owner(stage, client).give_references(task_id, lambda p, *_: np.zeros(3))
        honest = AggregatorClient.upload_update

        async def another(*sent: Any) -> Any:
            receipt = await honest(*sent)
            receipt.round += 1
            return receipt

        monkeypatch.setattr(AggregatorClient, "upload_update", another)
        with pytest.raises(InvalidReceipt, match="round"):
            await owner(stage, client).give_references(task_id, ahead)


@pytest.mark.parametrize(("outlier", "shard"), [("aligned", None), ("aligned", 8), ("multi_krum", 0)])
def test_a_reference_needs_a_shard_and_nothing_else_does(outlier: str, shard: int | None, tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "rpc_url": "http://127.0.0.1:1",
        "market": "0x0",
        "aggregator_target": "127.0.0.1:1",
        "directory": tmp_path,
        "aggregator": "0x0",
        "verifier": "0x0",
        "reward_per_round_wei": 1,
        "bond_wei": 1,
        "quorum": 3,
        "statement": {"outlier": outlier, "rule_params": {}},
    }
    with pytest.raises(ConfigurationError) as caught:
        reference_of(OwnerConfig(**fields, reference_shard=shard))
    assert caught.value.field == "reference_shard"
    fields["statement"] = {"outlier": "aligned", "rule_params": {}}
    assert reference_of(OwnerConfig(**fields, reference_shard=7)) is not None
