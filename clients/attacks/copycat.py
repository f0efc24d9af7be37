"""Copycat: somebody else's work under one's own name."""

from dataclasses import dataclass

import numpy as np

from clients.attacks.base import Attack, Scene, Updates


@dataclass(frozen=True, kw_only=True)
class Copycat(Attack):
    """All attackers send the first update that they know, entry by entry.

    The values are the same; salts are not, so the commitments differ and the market cannot refuse them as copies. In
    a demo the victim is the first of the attackers itself: one piece of work that asks for several pays.
    """

    name = "copycat"
    colluding = True
    fewest = 2

    def craft(self, scene: Scene) -> Updates:
        return np.tile(scene.seen[0], (len(scene.own), 1))
