"""Attackers in a running market: what they send is taken like any update, and judged by the rule."""

import asyncio

import numpy as np
import pytest

from circuits.fixedpoint import quantize
from clients import attacks
from clients.attacks.trainer import Attacker
from clients.local_training import LocalTraining
from clients.memory import Memory
from clients.trainer import AsyncTrainer
from contracts.bindings import RoundState
from tests.stage import STATEMENT, TRAINERS, Stage

pytestmark = pytest.mark.slow

STEP = np.linspace(0.3, 0.6, STATEMENT.dim)


def honest(index: int) -> LocalTraining:
    noise = np.random.default_rng(index).normal(scale=0.15, size=STATEMENT.dim)
    return lambda parameters, *_: parameters + STEP + noise


def sent_values(stage: Stage, task_id: int, index: int) -> np.ndarray:
    """int64[dim], what a trainer sent in the first round."""
    pending = Memory(stage.directory / f"trainer-{index}").pending(0)
    assert pending is not None
    return stage.opened(pending.data, task_id, 0, stage.trainers[index].address).values


@pytest.mark.parametrize("name", ["alie", "copycat"])
async def test_colluders_send_the_same_values_under_commitments_of_their_own(stage: Stage, name: str) -> None:
    group = (1, 3)
    trains = [honest(i) for i in range(TRAINERS)]
    for position, index in enumerate(group):
        members = [honest(i) for i in group]
        trains[index] = Attacker(attacks.load(name), members, position=position, seed=1)
    async with stage.running() as (_, client):
        task_id = await stage.create_task(rounds=1)
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        async with asyncio.TaskGroup() as running:
            for index, train in enumerate(trains):
                trainer = AsyncTrainer(
                    market=stage.market, task_id=task_id, aggregator=client, account=stage.trainers[index],
                    prover=stage.prover, directory=stage.directory / f"trainer-{index}", poll_seconds=0.3,
                )  # fmt: skip
                running.create_task(trainer.run(train))
        view = stage.market.round(task_id, 0)
    assert view.state == RoundState.SETTLED
    assert len(set(view.points)) == TRAINERS
    sent = [sent_values(stage, task_id, index) for index in range(TRAINERS)]
    own = np.stack([train(np.zeros(STATEMENT.dim), 0, None) for train in (honest(1), honest(3))])
    expected = own[0] if name == "copycat" else own.mean(axis=0) - 1.5 * own.std(axis=0)
    for index in group:
        # Equal but for the float noise of subtracting the model's parameters.
        assert np.abs(sent[index] - quantize(expected, STATEMENT.fmt).values).max() <= 1
    assert (sent[group[0]] == sent[group[1]]).all()
