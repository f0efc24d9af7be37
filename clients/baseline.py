"""FedAvg in floats, on one machine: what a market run is compared with."""

from collections.abc import Sequence

import numpy as np

from clients.data import Samples
from clients.parameters import Vector, flatten, unflatten
from clients.training import Recipe, accuracy, softmax_regression, train_local


def trained(parameters: Vector, shard: Samples, recipe: Recipe, round: int) -> Vector:
    """Softmax regression's parameters after one round of local training."""
    model = softmax_regression(shard.inputs.shape[1])
    unflatten(model, parameters)
    train_local(model, shard, recipe, round=round)
    return flatten(model)


def federated_average(shards: Sequence[tuple[Samples, Recipe]], test: Samples, rounds: int) -> list[float]:
    """Test accuracy after each round of plain averaging, one vote a trainer, as the market's model does."""
    model = softmax_regression(test.inputs.shape[1])
    found = []
    for round in range(rounds):
        start = flatten(model)
        unflatten(model, np.mean([trained(start, shard, recipe, round) for shard, recipe in shards], axis=0))
        found.append(accuracy(model, test))
    return found
