"""Attackers as local training: each process alone, all of one mind."""

from typing import Any

import numpy as np
import pytest

from clients.attacks import ATTACKS
from clients.attacks.alie import Alie
from clients.attacks.free_rider import FreeRider
from clients.attacks.sybil_split import SybilSplit
from clients.attacks.trainer import Attacker
from clients.config import TrainerConfig
from clients.local_training import LocalTraining
from clients.run import training_of
from process.configuration import parse
from process.errors import ConfigurationError

START = np.linspace(-0.1, 0.1, 650)


def config(**changes: Any) -> TrainerConfig:
    fields: dict[str, Any] = {
        "rpc_url": "", "market": "", "aggregator_target": "", "directory": ".", "task_id": 1, "shard": 0,
    }  # fmt: skip
    return parse(TrainerConfig, fields | changes)


def change(**changes: Any) -> np.ndarray:
    return training_of(config(**changes))(START.copy(), 0, None) - START


def step(size: float) -> LocalTraining:
    return lambda parameters, round, _: parameters + size * (round + 1)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_every_attack_runs_as_a_trainer_and_is_not_honest(name: str) -> None:
    group = (0, 3)
    honest = change(shard=3)
    sent = change(shard=3, behaviour=name, colluders=group)
    assert sent.shape == honest.shape
    assert np.isfinite(sent).all()
    assert np.abs(sent - honest).max() > 1e-3
    assert (sent == change(shard=3, behaviour=name, colluders=group)).all()


def test_colluders_know_their_own_shards() -> None:
    own = np.stack([change(shard=i) for i in (0, 3)])
    expected = own.mean(axis=0) - Alie().deviations * own.std(axis=0)
    for shard in (0, 3):
        sent = change(shard=shard, behaviour="alie", colluders=(0, 3))
        assert sent == pytest.approx(expected, abs=1e-12)


def test_sybils_of_a_demo_sum_to_one_honest_update() -> None:
    parts = [change(shard=i, behaviour="sybil_split", colluders=(2, 0, 3)) for i in (2, 0, 3)]
    assert np.sum(parts, axis=0) == pytest.approx(change(shard=2), abs=1e-9)


def test_those_who_do_not_collude_act_alone() -> None:
    alone = change(shard=3, behaviour="gaussian")
    assert (change(shard=3, behaviour="gaussian", colluders=(0, 3)) == alone).all()
    assert (change(shard=0, behaviour="gaussian", colluders=(0, 3)) != change(shard=3, behaviour="gaussian")).any()


def test_noise_differs_from_round_to_round() -> None:
    attacker = Attacker(SybilSplit(), [step(1), step(1)], position=0, seed=1)
    first, second = (attacker(np.arange(5.0), round, None) - np.arange(5.0) for round in (0, 0))
    assert (first == second).all()
    assert (attacker(np.arange(5.0), 1, None) - np.arange(5.0) != 2 * first).any()


def test_free_rider_repeats_the_last_rounds_change() -> None:
    attacker = Attacker(FreeRider(), [step(1)], position=0, seed=1)
    models = [np.zeros(4), np.full(4, 0.5), np.full(4, 2.0)]
    sent = [attacker(model, round, None) - model for round, model in enumerate(models)]
    assert [row[0] for row in sent] == [0, 0.5, 1.5]
    # A round that it missed tells it nothing.
    assert (attacker(np.full(4, 9.0), 7, None) == 9).all()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"behaviour": "nothing"}, "behaviour"),
        ({"shard": 8}, "shard"),
        ({"behaviour": "alie", "colluders": (0, 8)}, "shard"),
        ({"behaviour": "alie", "colluders": (0, -1)}, "shard"),
        ({"behaviour": "alie", "colluders": (1, 2)}, "colluders"),
    ],
)
def test_impossible_configurations_are_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        training_of(config(**changes))
    assert caught.value.field == field
