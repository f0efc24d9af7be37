"""Equal: everyone who is accepted contributed the same."""

from __future__ import annotations

from collections.abc import Sequence

from circuits.rules.base import Bounds, ContributionRule, Cost, Gram
from circuits.tensors import torch


class Equal(ContributionRule):
    """score_i = 1 for an accepted i, 0 for the others."""

    name = "equal"
    formula = "1"
    source = "-"

    def reference(self, gram: Gram, accept: Sequence[int]) -> list[int]:
        return [int(bit) for bit in accept]

    def graph(self, gram: torch.Tensor, accept: torch.Tensor) -> torch.Tensor:
        return accept * 1  # an output of its own

    def largest_score(self, bounds: Bounds) -> int:
        return 1

    def largest_compared(self, bounds: Bounds) -> int:
        return 0

    def cost(self, slots: int) -> Cost:
        return Cost(signs=0, rows=3 * slots)
