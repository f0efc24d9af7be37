"""The demo's parameters do what the demo promises, on the integer reference alone: no network, no chain, no proof."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import spearmanr

from circuits.commitment import SALT_ROWS, Column
from circuits.fixedpoint import dequantize, quantize
from circuits.linear.gram import gram
from circuits.model import denominator, fold, genesis
from circuits.statement import DEMO_STATEMENT as STATEMENT
from clients.baseline import federated_average
from clients.config import DigitsConfig, OwnerConfig, RecipeConfig, StatementConfig, TrainerConfig
from clients.data import digits
from clients.parameters import flatten, unflatten
from clients.run import recipe_of, statement_of, training_of
from clients.training import accuracy, softmax_regression

ROUNDS = 3
REWARD_WEI = 10**18
LABEL_FLIP, SIGN_FLIP = 2, 5
# Who attacks does not matter: also the smallest shards, and the largest.
ATTACKERS = [(LABEL_FLIP, SIGN_FLIP), (0, 7), (7, 6), (1, 0)]
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Run:
    """Attributes:
    accuracies: after each round. accepts: one list a round. paid_wei: by trainer. most_clipped: of an honest update.
    """

    accuracies: list[float]
    accepts: list[list[int]]
    paid_wei: list[int]
    most_clipped: float


def behaviour(index: int, attackers: Sequence[int]) -> str:
    return dict(zip(attackers, ("label_flip", "sign_flip"), strict=False)).get(index, "honest")


def play(seed: int, attackers: Sequence[int]) -> Run:
    """The demo's rounds, as trainers and aggregator compute them."""
    data = DigitsConfig(seed=seed)
    slots, fmt = STATEMENT.slots, STATEMENT.fmt
    common = {"rpc_url": "", "market": "", "aggregator_target": "", "directory": ".", "task_id": 1, "data": data}
    configs = [
        TrainerConfig(**common, shard=i, recipe=RecipeConfig(seed=seed), behaviour=behaviour(i, attackers))  # type: ignore[arg-type]
        for i in range(slots)
    ]
    trains = [training_of(config) for config in configs]
    _, test = digits(seed=seed, weights=data.weights)
    net = softmax_regression()
    model = genesis(flatten(net), fmt, slots)
    residuals = [np.zeros(STATEMENT.dim)] * slots
    run = Run([], [], [0] * slots, 0.0)
    most_clipped = 0.0
    for number in range(ROUNDS):
        start = dequantize(model.values, fmt, denominator=denominator(slots))
        columns = []
        for i, train in enumerate(trains):
            quantized = quantize(train(start.copy(), number, None) - start + residuals[i], fmt)
            residuals[i] = quantized.residual
            columns.append(Column(values=quantized.values, salts=np.zeros(SALT_ROWS, dtype=np.int64)))
            if i not in attackers:
                most_clipped = max(most_clipped, quantized.clipped_share)
        if attackers:
            accept, score = STATEMENT.rule.reference(gram(columns), [1] * slots, **STATEMENT.rule_params)
        else:
            accept, score = [1] * slots, [1] * slots
        for i in range(slots):
            run.paid_wei[i] += REWARD_WEI * score[i] // sum(score)
        model = fold(model, [c for c, taken in zip(columns, accept, strict=True) if taken], slots)
        unflatten(net, dequantize(model.values, fmt, denominator=denominator(slots)))
        run.accuracies.append(accuracy(net, test))
        run.accepts.append(accept)
    return Run(run.accuracies, run.accepts, run.paid_wei, most_clipped)


def plain(seed: int, members: Sequence[int]) -> list[float]:
    shards, test = digits(seed=seed, weights=DigitsConfig().weights)
    recipe = RecipeConfig(seed=seed)
    return federated_average([(shards[i], recipe_of(recipe, i)) for i in members], test, ROUNDS)


def test_the_demo_is_configured_as_it_is_tested() -> None:
    statement = statement_of(StatementConfig(), dim=STATEMENT.dim)
    assert statement == STATEMENT
    assert OwnerConfig.model_fields["rounds"].default == ROUNDS


@pytest.mark.parametrize("attackers", ATTACKERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_attackers_are_rejected_in_every_round_and_paid_nothing(seed: int, attackers: tuple[int, int]) -> None:
    run = play(seed, attackers)
    honest = [i for i in range(STATEMENT.slots) if i not in attackers]
    assert run.accepts == [[int(i in honest) for i in range(STATEMENT.slots)]] * ROUNDS
    assert [run.paid_wei[i] for i in attackers] == [0, 0]
    assert all(run.paid_wei[i] > 0 for i in honest)
    # The remainder of each round is less than one wei a trainer.
    assert 0 <= ROUNDS * REWARD_WEI - sum(run.paid_wei) < ROUNDS * STATEMENT.slots


@pytest.mark.parametrize("seed", SEEDS)
def test_pay_follows_shard_size(seed: int) -> None:
    attackers = (LABEL_FLIP, SIGN_FLIP)
    run = play(seed, attackers)
    honest = [i for i in range(STATEMENT.slots) if i not in attackers]
    assert spearmanr([run.paid_wei[i] for i in honest], honest).statistic > 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_accuracy_is_that_of_honest_averaging(seed: int) -> None:
    attackers = (LABEL_FLIP, SIGN_FLIP)
    honest = [i for i in range(STATEMENT.slots) if i not in attackers]
    attacked = play(seed, attackers).accuracies
    assert attacked[-1] > 0.88
    assert abs(attacked[-1] - plain(seed, honest)[-1]) <= 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_quantisation_costs_next_to_nothing(seed: int) -> None:
    run = play(seed, ())
    assert abs(run.accuracies[-1] - plain(seed, range(STATEMENT.slots))[-1]) <= 0.02
    assert run.most_clipped < 0.01
