"""How data are dealt to an owner and its trainers: evenly, by size, or by label."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from clients.data import CLASSES, Samples, split

Shape = Literal["even", "sizes 1 to 10", "skewed labels"]
SHAPES: tuple[Shape, ...] = ("even", "sizes 1 to 10", "skewed labels")

OWNERS_SHARE = 1 / 21
"""Of what is not held out: half of an even trainer's shard, for ten trainers."""
CONCENTRATION = 0.5
"""Of the Dirichlet distribution that deals each label; the smaller, the more lopsided."""


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """The owner's reference set, one shard a trainer, a hold-out set of one fifth."""

    reference: Samples
    shards: list[Samples]
    test: Samples


def deal(everything: Samples, trainers: int, *, shape: Shape, seed: int) -> World:
    """Disjoint random shards; the same for the same seed. The owner's data are a fair sample in every shape."""
    (training,), test = split(everything, seed=seed, weights=(1,))
    owners = round(OWNERS_SHARE * len(training))
    reference, rest = training.select(np.arange(owners)), np.arange(owners, len(training))
    rng = np.random.default_rng([seed, 2])
    if shape == "skewed labels":
        parts = _by_label(training.labels, rest, trainers, rng)
    else:
        weights = np.arange(1, trainers + 1) if shape == "sizes 1 to 10" else np.ones(trainers, dtype=int)
        parts = np.split(rest, np.cumsum(weights)[:-1] * len(rest) // weights.sum())
    return World(reference=reference, shards=[training.select(part) for part in parts], test=test)


def _by_label(labels: np.ndarray, rows: np.ndarray, trainers: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Each label's rows go to the trainers in proportions of their own."""
    dealt: list[list[np.ndarray]] = [[] for _ in range(trainers)]
    for label in range(CLASSES):
        mine = rows[labels[rows] == label]
        ends = np.cumsum(rng.dirichlet(np.full(trainers, CONCENTRATION)))[:-1] * len(mine)
        for pile, part in zip(dealt, np.split(mine, ends.astype(int)), strict=True):
            pile.append(part)
    return [rng.permutation(np.concatenate(pile)) for pile in dealt]
