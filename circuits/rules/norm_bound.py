"""Norm bound: no update may be longer than a public length.

Source: Sun et al., "Can You Really Backdoor Federated Learning?", 2019 (norm thresholding; here what is too long is
left out instead of scaled down, since a scaled update would not be an integer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from circuits.graph import diagonal
from circuits.rules.base import Bounds, Cost, Gram, OutlierRule, Parameter
from circuits.tensors import torch

_MAX_BOUND = 1 << 58


class NormBound(OutlierRule):
    """Accepts i iff G[i][i] <= B: its squared length, in units of the square of the task's scale, is at most B."""

    name = "norm_bound"
    formula = "G[i][i] <= B"
    source = "Sun et al., Can You Really Backdoor Federated Learning?, 2019"
    parameters = (
        Parameter(name="B", low=0, high=_MAX_BOUND, meaning="largest squared norm, in units of 4^-fraction_bits"),
    )

    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        return [int(bool(bit) and gram[i][i] <= params["B"]) for i, bit in enumerate(active)]

    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        return active * (diagonal(gram) <= params[0]).to(active.dtype)

    def largest_compared(self, bounds: Bounds) -> int:
        return max(bounds.update, bounds.anchor_norm, _MAX_BOUND)

    def cost(self, slots: int) -> Cost:
        return Cost(signs=slots, rows=slots * slots + 22 * slots + 2)
