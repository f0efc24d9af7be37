"""Shapley: the exact Shapley value of coming closer to a reference, in closed form.

Source: Shapley, "A Value for n-Person Games", 1953. The game is quadratic, so the value of a player is its own part
plus half of its interactions, and no subset is enumerated.
"""

from __future__ import annotations

from collections.abc import Sequence

from circuits.rules.base import Anchor, Bounds, ContributionRule, Cost, Gram
from circuits.rules.projection import Projection, along_sum
from circuits.tensors import torch


class Shapley(Projection):
    """score_i = max(0, 2 n <r, u_i> - <u_i, A>) with r = A/n, which is max(0, <u_i, A>): `projection`, renamed."""

    name = "shapley"
    formula = "max(0, 2 n <r, u_i> - <u_i, A>) with r = A/n: the same as projection"
    source = "Shapley, A Value for n-Person Games, 1953"


class ShapleyReference(ContributionRule):
    """score_i = max(0, 2 n <r, u_i> - <u_i, A>) for an accepted i; n is the number accepted, A their sum.

    r is the owner's committed reference update, in slot 0. It is n^2 times the exact Shapley value of
    v(S) = |r|^2 - |r - s_S|^2 with s_S the sum of S over n, clipped at 0.
    """

    name = "shapley_reference"
    formula = "max(0, 2 n <r, u_i> - <u_i, A>), r the owner's reference update"
    source = "Shapley, A Value for n-Person Games, 1953"
    anchor = Anchor.REFERENCE

    def reference(self, gram: Gram, accept: Sequence[int]) -> list[int]:
        twice, along = 2 * sum(accept), along_sum(gram, accept)
        return [max(0, twice * gram[0][i] - along[i]) if taken else 0 for i, taken in enumerate(accept)]

    def graph(self, gram: torch.Tensor, accept: torch.Tensor) -> torch.Tensor:
        twice = 2 * torch.sum(accept)
        return accept * torch.relu(twice * gram[0] - torch.mv(gram, accept))

    def largest_score(self, bounds: Bounds) -> int:
        return 2 * bounds.slots * max(bounds.anchor, bounds.anchor_norm) + bounds.slots * max(
            bounds.update, bounds.anchor
        )

    def cost(self, slots: int) -> Cost:
        return Cost(signs=slots, rows=(3 * slots * slots + 35 * slots) // 2 + 4)
