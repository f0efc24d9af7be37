"""Sybil split: one trainer's work under several names."""

from dataclasses import dataclass

import numpy as np

from clients.attacks.base import Attack, Scene, Updates


@dataclass(frozen=True, kw_only=True)
class SybilSplit(Attack):
    """m names send parts that sum to the first one's honest update u: u / m plus noise that cancels in the sum.

    Knows its own shard; the other names have no data. The noise, of `noise` times the root mean square of u / m, keeps
    the parts from being copies.

    Source: Douceur, "The Sybil Attack", IPTPS 2002.
    """

    name = "sybil_split"
    colluding = True
    fewest = 2
    noise: float = 0.5

    def craft(self, scene: Scene) -> Updates:
        part = scene.own[0] / len(scene.own)
        mask = scene.rng.standard_normal(scene.own.shape)
        mask -= mask.mean(axis=0)
        parts: Updates = part + self.noise * np.sqrt(np.mean(part**2)) * mask
        return parts
