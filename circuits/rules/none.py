"""No outlier removal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from circuits.rules.base import Bounds, Cost, Gram, OutlierRule
from circuits.tensors import torch


class NoRule(OutlierRule):
    """Accepts every active slot."""

    name = "none"
    formula = "always"
    source = "the mean, as in McMahan et al., AISTATS 2017"

    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        return [int(bit) for bit in active]

    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        # Names the matrix: an input that no node reads would be dropped, and with it its public instances.
        return active + 0 * gram[0, 0]

    def largest_compared(self, bounds: Bounds) -> int:
        return 0

    def cost(self, slots: int) -> Cost:
        return Cost(signs=0, rows=slots * (slots + 1) // 2 + slots)
