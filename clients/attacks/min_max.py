"""Min-max: as far from the mean as the honest updates are from each other."""

from dataclasses import dataclass

import numpy as np

from clients.attacks.base import Attack, Scene, Updates


@dataclass(frozen=True, kw_only=True)
class MinMax(Attack):
    """All attackers send mean - gamma * std, entry by entry, with the largest gamma for which no distance to a known
    update exceeds the largest distance between two of them.

    Knows all honest updates (the paper's assumption), or those of the colluders' own shards. Each known u_i bounds
    gamma by a quadratic: |mean - gamma * std - u_i|^2 <= max |u_j - u_k|^2; the least of the larger roots is it.

    Source: Shejwalkar and Houmansadr, "Manipulating the Byzantine: Optimizing Model Poisoning Attacks and Defenses
    for Federated Learning", NDSS 2021, with the inverse standard deviation as the direction.
    """

    name = "min_max"
    colluding = True
    fewest = 2

    def craft(self, scene: Scene) -> Updates:
        mean, direction = scene.seen.mean(axis=0), -scene.seen.std(axis=0)
        shifted = mean + _largest_step(scene.seen, mean, direction) * direction
        return np.tile(shifted, (len(scene.own), 1))


def _largest_step(seen: Updates, mean: Updates, direction: Updates) -> float:
    length = float(direction @ direction)
    if length == 0:
        return 0.0
    offsets = mean - seen
    # Not through |a|^2 + |b|^2 - 2 <a, b>, which cancels.
    widest = max(float(((seen - row) ** 2).sum(axis=1).max()) for row in seen)
    along = offsets @ direction
    room = widest - (offsets**2).sum(axis=1)  # never negative: the mean is between the updates
    roots = (np.sqrt(along**2 + length * np.maximum(room, 0)) - along) / length
    return float(roots.min())
