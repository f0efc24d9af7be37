"""A little is enough: a shift that hides in the spread of honest updates."""

from dataclasses import dataclass

import numpy as np

from clients.attacks.base import Attack, Scene, Updates


@dataclass(frozen=True, kw_only=True)
class Alie(Attack):
    """All attackers send mean - deviations * std, entry by entry, over the updates that they know.

    Knows the honest updates of the colluders' own shards (the paper's assumption), or as many more as it sees. The
    paper's bound on the number of deviations, Phi^-1((n - m - s) / (n - m)) with s = floor(n / 2 + 1) - m, is 0 for
    10 trainers of which 2 attack, that is, no attack; 1.5 is what the authors' experiments use.

    Source: Baruch et al., "A Little Is Enough: Circumventing Defenses For Distributed Learning", NeurIPS 2019.
    """

    name = "alie"
    colluding = True
    fewest = 2
    deviations: float = 1.5

    def craft(self, scene: Scene) -> Updates:
        shifted = scene.seen.mean(axis=0) - self.deviations * scene.seen.std(axis=0)
        return np.tile(shifted, (len(scene.own), 1))
