"""An attack as local training, for a trainer's process."""

from collections.abc import Sequence

import numpy as np

from clients.attacks.base import Attack, Scene
from clients.local_training import LocalTraining
from clients.parameters import Vector


class Attacker:
    """One attacker of a group. It knows what its colluders know, and nothing of the honest trainers.

    Args:
        attack: what it does.
        trains: the attackers' own training on their shards, after `Attack.poison`; the same list for each of them.
        position: whose update this one sends.
        seed: the same for all of the group.
    """

    def __init__(self, attack: Attack, trains: Sequence[LocalTraining], *, position: int, seed: int) -> None:
        self._attack, self._trains = attack, trains
        self._position, self._seed = position, seed
        self._starts: dict[int, Vector] = {}

    def __call__(self, parameters: Vector, round: int, learning_rate: float | None) -> Vector:
        """A `LocalTraining`: parameters float64[dim] -> parameters plus what the attack sends."""
        own = np.stack([train(parameters.copy(), round, learning_rate) - parameters for train in self._trains])
        self._starts[round] = parameters.copy()
        previous = parameters - self._starts.pop(round - 1, parameters)
        scene = Scene(own=own, seen=own, previous=previous, rng=np.random.default_rng([self._seed, round]))
        sent: Vector = parameters + self._attack.craft(scene)[self._position]
        return sent
