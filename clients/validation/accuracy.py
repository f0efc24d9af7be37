"""Accuracy as the value of a coalition."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from clients.parameters import Vector
from clients.validation.game import Coalition, Value

Evaluation = Callable[[Vector], float]
"""Accuracy of the model with these parameters, float64[dim], in [0, 1]."""


def of_round(start: Vector, changes: NDArray[np.float64], evaluate: Evaluation) -> Value:
    """Accuracy of the model that the mean of a coalition's updates would give.

    Args:
        start: float64[dim], the round's model.
        changes: float64[players, dim], the updates.
    """

    def value(coalition: Coalition) -> float:
        return evaluate(start + changes[sorted(coalition)].mean(axis=0) if coalition else start)

    return value
