"""Sign flip: pulls the model back to where it was, and further."""

from dataclasses import dataclass

from clients.attacks.base import Attack, Scene, Updates


@dataclass(frozen=True, kw_only=True)
class SignFlip(Attack):
    """Sends -factor * u, u the honest update. Knows its own shard.

    Source: the reversed gradient of Blanchard et al., "Machine Learning with Adversaries", NeurIPS 2017.
    """

    name = "sign_flip"
    factor: float = 3.0

    def craft(self, scene: Scene) -> Updates:
        return -self.factor * scene.own
