"""Local training as a trainer, or an owner with a reference, sees it: a function of the model's parameters."""

from collections.abc import Callable

import numpy as np

from circuits.rules.pace import from_units
from clients.errors import InvalidTraining
from clients.parameters import Vector
from contracts.bindings import TaskView

LocalTraining = Callable[[Vector, int, float | None], Vector]
"""(parameters float64[dim], round, learning rate) -> parameters float64[dim] after local training.

The learning rate is the one that the task asks for in this round; None where it leaves that to its trainers.
"""


def change_of(start: Vector, trained: Vector) -> Vector:
    """float64[dim]: what local training changed (InvalidTraining if it made something else than parameters)."""
    trained = np.asarray(trained)
    if trained.shape != start.shape or trained.dtype.kind != "f":
        got = f"{trained.dtype}{list(trained.shape)}"
        raise InvalidTraining(f"parameters: training returned {got}, but the model has float{list(start.shape)}")
    change: Vector = trained.astype(np.float64) - start
    return change


def learning_rate(view: TaskView) -> float | None:
    """What the task asks for in its current round; None where it leaves that to its trainers."""
    return from_units(view.learning_rate) if view.config.learning_rate else None
