"""Scaling: an honest direction, too far."""

from dataclasses import dataclass

from clients.attacks.base import Attack, Scene, Updates


@dataclass(frozen=True, kw_only=True)
class Scaling(Attack):
    """Sends factor * u, u the honest update: for more weight in the mean, and more pay. Knows its own shard.

    With the factor n it would replace the mean of n updates: Bagdasaryan et al., "How To Backdoor Federated
    Learning", AISTATS 2020.
    """

    name = "scaling"
    factor: float = 10.0

    def craft(self, scene: Scene) -> Updates:
        return self.factor * scene.own
