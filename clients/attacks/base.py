"""What an attack is: what it does to its own data, and what it sends instead of an honest update."""

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from clients.data import Samples

Vector = NDArray[np.float64]
Updates = NDArray[np.float64]
"""float64[n, dim], one update a row."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """What attackers have in a round.

    Attributes:
        own: float64[m, dim], what training on each attacker's shard (after `poison`) changed; m attackers.
        seen: float64[k, dim], k >= 1 honest updates that they know. The papers on colluding attacks assume all of
            them; in a demo these are what the colluders' own shards give.
        previous: float64[dim], what the last round changed in the global model; zeros in the first.
        rng: the same for all attackers of a group, so that each alone computes what all of them send.
    """

    own: Updates
    seen: Updates
    previous: Vector
    rng: np.random.Generator


class Attack(ABC):
    """One attack. An instance holds its constants, and no state.

    Attributes:
        name: as in `merit demo --attack NAME:COUNT`.
        colluding: whether the attackers of a group act as one.
        fewest: attackers that it takes.
    """

    name: ClassVar[str]
    colluding: ClassVar[bool] = False
    fewest: ClassVar[int] = 1

    def poison(self, data: Samples) -> Samples:
        """The shard that an attacker trains on: its own, unless the attack is one on data."""
        return data

    def craft(self, scene: Scene) -> Updates:
        """float64[m, dim]: what the attackers send, before quantisation; their own updates unless said otherwise."""
        return scene.own
