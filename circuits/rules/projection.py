"""Projection: how far an update goes along the accepted sum."""

from collections.abc import Sequence

import torch

from circuits.fixedpoint import FixedPoint
from circuits.rules.base import ContributionRule, Gram


class Projection(ContributionRule):
    """score_i = max(0, <u_i, A>) for an accepted i, with A the accepted sum; 0 for the others.

    It is the exact Shapley value of v(S) = 2 <A/n, s_S> - |s_S|^2 with s_S the sum of S over n, up to a common factor
    (protocol.md section 5), clipped at 0.
    """

    name = "projection"

    def reference(self, gram: Gram, accept: Sequence[int]) -> list[int]:
        along = [sum(g for g, taken in zip(row, accept, strict=True) if taken) for row in gram]
        return [max(0, value) if taken else 0 for value, taken in zip(along, accept, strict=True)]

    def graph(self, gram: torch.Tensor, accept: torch.Tensor) -> torch.Tensor:
        along = torch.sum(gram * accept.unsqueeze(0), dim=1)
        return accept * torch.relu(along)

    def largest_compared(self, *, slots: int, dim: int, fmt: FixedPoint) -> int:
        return slots * dim * fmt.lowest**2
