"""Squared distances between updates, from their Gram matrix: D[i][j] = G[i][i] + G[j][j] - 2 G[i][j]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from circuits import graph
from circuits.rules.base import Gram
from circuits.rules.order import ascending, masked
from circuits.tensors import torch


def distances_to_others(gram: Gram, active: Sequence[int]) -> dict[int, list[int]]:
    """For each active i, D[i][j] to the other active j, ascending."""
    members = [i for i, bit in enumerate(active) if bit]
    return {i: sorted(gram[i][i] + gram[j][j] - 2 * gram[i][j] for j in members if j != i) for i in members}


def ordered_distances(gram: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
    """The same as a graph: [slots, slots - 1], each row ascending, SENTINEL for every pair that is not active."""
    left, right, others = _pairs(len(active))
    norms = graph.diagonal(gram)
    distance = norms[left] + norms[right] - 2 * gram[left, right]
    pairs = masked(distance, active[left] * active[right])
    return ascending(pairs[others])


def _pairs(slots: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(i, j, others): the pairs i < j, and int64[slots, slots - 1], where those of each slot stand among them."""
    left, right = np.triu_indices(slots, 1)
    position = np.zeros((slots, slots), dtype=np.int64)
    position[left, right] = position[right, left] = np.arange(len(left))
    others = position[~np.eye(slots, dtype=bool)].reshape(slots, slots - 1)
    return torch.from_numpy(left), torch.from_numpy(right), torch.from_numpy(others)
