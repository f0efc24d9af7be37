"""Gaussian: noise instead of an update."""

from dataclasses import dataclass

import numpy as np

from clients.attacks.base import Attack, Scene, Updates


@dataclass(frozen=True, kw_only=True)
class Gaussian(Attack):
    """Sends N(0, s^2) in each entry, s = factor * the root mean square of the honest update. Knows its own shard.

    Source: the Gaussian workers of Blanchard et al., "Machine Learning with Adversaries", NeurIPS 2017, with the
    spread measured against the update instead of a constant.
    """

    name = "gaussian"
    factor: float = 3.0

    def craft(self, scene: Scene) -> Updates:
        spread = self.factor * np.sqrt(np.mean(scene.own**2, axis=1, keepdims=True))
        noise: Updates = spread * scene.rng.standard_normal(scene.own.shape)
        return noise
