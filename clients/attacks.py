"""Trainers that do harm, for demos and tests."""

from clients.data import CLASSES, Samples
from clients.trainer import LocalTraining
from clients.training import Vector


def flip_labels(data: Samples) -> Samples:
    """The same inputs under wrong labels: y becomes 9 - y."""
    return Samples(inputs=data.inputs, labels=CLASSES - 1 - data.labels)


def sign_flip(train: LocalTraining, scale: float) -> LocalTraining:
    """Training that goes `scale` times as far in the opposite direction."""

    def harmful(parameters: Vector, round: int, learning_rate: float | None) -> Vector:
        return parameters - scale * (train(parameters, round, learning_rate) - parameters)

    return harmful
