"""Projection: how far an update goes along the accepted sum."""

from __future__ import annotations

from collections.abc import Sequence

from circuits.rules.base import Bounds, ContributionRule, Cost, Gram
from circuits.tensors import torch


class Projection(ContributionRule):
    """score_i = max(0, <u_i, A>) for an accepted i, with A the accepted sum; 0 for the others.

    It is the exact Shapley value of v(S) = 2 <A/n, s_S> - |s_S|^2 with s_S the sum of S over n, times n^2
    (protocol.md section 5), clipped at 0.
    """

    name = "projection"
    formula = "max(0, <u_i, A>), A the accepted sum"
    source = "protocol.md section 5"

    def reference(self, gram: Gram, accept: Sequence[int]) -> list[int]:
        return [max(0, value) if taken else 0 for value, taken in zip(along_sum(gram, accept), accept, strict=True)]

    def graph(self, gram: torch.Tensor, accept: torch.Tensor) -> torch.Tensor:
        return accept * torch.relu(torch.mv(gram, accept))

    def largest_score(self, bounds: Bounds) -> int:
        return bounds.slots * max(bounds.update, bounds.anchor)

    def cost(self, slots: int) -> Cost:
        return Cost(signs=slots, rows=(3 * slots * slots + 29 * slots) // 2 + 1)


def along_sum(gram: Gram, accept: Sequence[int]) -> list[int]:
    """<u_i, A> for every slot i, A the sum of the accepted updates."""
    return [sum(g for g, taken in zip(row, accept, strict=True) if taken) for row in gram]
