"""Label flip: honest training on wrong labels."""

from dataclasses import dataclass

from clients.attacks.base import Attack
from clients.data import CLASSES, Samples


@dataclass(frozen=True, kw_only=True)
class LabelFlip(Attack):
    """Trains on label 9 - y instead of y. Knows its own shard.

    Source: Fang et al., "Local Model Poisoning Attacks to Byzantine-Robust Federated Learning", USENIX Security 2020.
    """

    name = "label_flip"

    def poison(self, data: Samples) -> Samples:
        return Samples(inputs=data.inputs, labels=CLASSES - 1 - data.labels)
