"""Free-rider: takes part without data."""

from dataclasses import dataclass

import numpy as np

from clients.attacks.base import Attack, Scene, Updates


@dataclass(frozen=True, kw_only=True)
class FreeRider(Attack):
    """Sends what the last round changed in the global model, and nothing (zeros) in the first round.

    Knows the published models alone.

    Source: the delta weights of Lin et al., "Free-riders in Federated Learning: Attacks and Defenses", 2019.
    """

    name = "free_rider"

    def craft(self, scene: Scene) -> Updates:
        return np.tile(scene.previous, (len(scene.own), 1))
