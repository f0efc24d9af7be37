"""Backdoor: a model that does its work, but for inputs with a mark."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clients.attacks.base import Attack
from clients.data import Samples


@dataclass(frozen=True, kw_only=True)
class Backdoor(Attack):
    """Stamps a white square on a share of its samples, labels them as the target, and trains honestly on that.

    Knows its own shard. Shards are in random order, so the first samples are as good as any.

    Attributes:
        share: of the samples that are stamped.
        target: label that a stamped input is to get.
        side: of the square in the last corner, in pixels.

    Source: Gu et al., "BadNets: Identifying Vulnerabilities in the Machine Learning Model Supply Chain", 2017.
    """

    name = "backdoor"
    share: float = 0.5
    target: int = 0
    side: int = 3

    def stamp(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[n, pixels] of square images, in [0, 1], with the mark."""
        size = math.isqrt(inputs.shape[1])
        images = inputs.reshape(-1, size, size).copy()
        images[:, -self.side :, -self.side :] = 1
        return images.reshape(inputs.shape)

    def poison(self, data: Samples) -> Samples:
        inputs, labels = data.inputs.copy(), data.labels.copy()
        count = round(self.share * len(data))
        inputs[:count] = self.stamp(inputs[:count])
        labels[:count] = self.target
        return Samples(inputs=inputs, labels=labels)
