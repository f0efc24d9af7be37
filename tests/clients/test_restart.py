"""`kill -9` of a trainer before each of its effects: after a restart the same update is sent, and nothing is lost."""

import asyncio
import json
import os
import signal
import sys
from typing import Any

import numpy as np
import pytest

from circuits.fixedpoint import dequantize
from clients.memory import Memory
from clients.trainer import AsyncTrainer
from contracts.bindings import RoundState
from tests.clients.mortal import EFFECTS
from tests.stage import STATEMENT, TRAINERS, Stage

pytestmark = pytest.mark.slow

ROUNDS = len(EFFECTS)


async def life(plan: dict[str, Any], key: str) -> int:
    """One process of the trainer; how it ended."""
    environment = os.environ | {"MERIT_PRIVATE_KEY": key, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.clients.mortal"), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    await process.communicate(json.dumps(plan).encode())
    assert process.returncode is not None
    return process.returncode


async def test_a_trainer_killed_before_every_effect_sends_each_update_once(stage: Stage) -> None:
    """A round for each effect: the trainer dies before it, and its next life goes on from there."""
    trainer, diary = stage.trainers[0], stage.directory / "diary"
    memory = stage.directory / "mortal"
    async with stage.running() as (aggregator, client):
        task_id = await stage.create_task(rounds=ROUNDS)
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        plan = {
            "rpc_url": stage.rpc_url,
            "market": stage.market.address,
            "target": f"127.0.0.1:{aggregator.port}",
            "task": task_id,
            "directory": str(memory),
            "keys": str(stage.directory / "keys"),
            "diary": str(diary),
        }
        async with asyncio.TaskGroup() as group:
            for index in range(1, TRAINERS):
                noise = np.random.default_rng(index).normal(scale=0.05, size=STATEMENT.dim)
                step = np.linspace(0.3, 0.6, STATEMENT.dim) + noise
                other = AsyncTrainer(
                    market=stage.market, task_id=task_id, aggregator=client, account=stage.trainers[index],
                    prover=stage.prover, directory=stage.directory / f"trainer-{index}", poll_seconds=0.3,
                )  # fmt: skip
                group.create_task(other.run(lambda parameters, *_, step=step: parameters + step))
            for round, effect in enumerate(EFFECTS):
                mortal = plan | {"last_round": round, "last_effect": effect}
                assert await life(mortal, trainer.key.hex()) == -signal.SIGKILL, effect
            assert await life(plan | {"last_round": -1, "last_effect": ""}, trainer.key.hex()) == 0
        sent, points = [], []
        for number in range(ROUNDS):
            view = stage.market.round(task_id, number)
            assert view.state == RoundState.SETTLED
            slot = view.trainers.index(trainer.address)
            points.append(view.points[slot])
            data = aggregator.tools.store.get(view.cids[slot])
            values = stage.opened(data, task_id, number, trainer.address).values
            sent.append(dequantize(values, STATEMENT.fmt))

    lines = [json.loads(line) for line in diary.read_text().splitlines()]
    trained = [line["round"] for line in lines]
    # Trained again only where nothing had been remembered.
    again = [EFFECTS.index("fsync update"), EFFECTS.index("replace update")]
    assert trained == sorted([*range(ROUNDS), *again])
    # What was trained last in a round is what was sent; what rounding took away is carried on, never lost nor doubled.
    changes = {line["round"]: np.array(line["change"]) for line in lines}
    last = Memory(memory).pending(ROUNDS - 1)
    assert last is not None
    assert tuple(last.point) == tuple(points[-1])
    carried = np.zeros(STATEMENT.dim)
    for number in range(ROUNDS):
        carried = carried + changes[number] - sent[number]
        assert np.abs(carried).max() <= 2.0**-STATEMENT.fmt.fraction_bits
    assert np.abs(carried - last.residual).max() < 1e-9
    receipts = [number for number in range(ROUNDS) if Memory(memory).has_receipt(number)]
    assert receipts == list(range(ROUNDS))
