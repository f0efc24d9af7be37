"""Leave one out: how much farther from a reference the sum would be without this update."""

from __future__ import annotations

from collections.abc import Sequence

from circuits.graph import diagonal
from circuits.rules.base import Anchor, Bounds, ContributionRule, Cost, Gram
from circuits.rules.projection import along_sum
from circuits.tensors import torch


class LeaveOneOut(ContributionRule):
    """score_i = max(0, 2 n <r, u_i> - 2 <u_i, A> + G[i][i]) with r = A/n, which is max(0, G[i][i]).

    Measured against their own mean, leaving an update out costs exactly its squared norm (over n^2): the rule pays for
    length alone, and makes sense only beside an outlier rule that bounds it.
    """

    name = "leave_one_out"
    formula = "max(0, 2 n <r, u_i> - 2 <u_i, A> + G[i][i]) with r = A/n: the squared norm"
    source = "protocol.md section 5"

    def reference(self, gram: Gram, accept: Sequence[int]) -> list[int]:
        return [max(0, gram[i][i]) if taken else 0 for i, taken in enumerate(accept)]

    def graph(self, gram: torch.Tensor, accept: torch.Tensor) -> torch.Tensor:
        return accept * torch.relu(diagonal(gram))

    def largest_score(self, bounds: Bounds) -> int:
        return max(bounds.update, bounds.anchor_norm)

    def cost(self, slots: int) -> Cost:
        return Cost(signs=slots, rows=(slots * slots + 29 * slots) // 2 + 1)


class LeaveOneOutReference(ContributionRule):
    """score_i = max(0, 2 n <r, u_i> - 2 <u_i, A> + G[i][i]) for an accepted i; n is the number accepted, A their sum.

    r is the owner's committed reference update, in slot 0. It is n^2 (v(N) - v(N without i)) with
    v(S) = |r|^2 - |r - s_S|^2 and s_S the sum of S over n, clipped at 0.
    """

    name = "leave_one_out_reference"
    formula = "max(0, 2 n <r, u_i> - 2 <u_i, A> + G[i][i]), r the owner's reference update"
    source = "protocol.md section 5"
    anchor = Anchor.REFERENCE

    def reference(self, gram: Gram, accept: Sequence[int]) -> list[int]:
        twice, along = 2 * sum(accept), along_sum(gram, accept)
        values = [twice * gram[0][i] - 2 * along[i] + gram[i][i] for i in range(len(accept))]
        return [max(0, value) if taken else 0 for value, taken in zip(values, accept, strict=True)]

    def graph(self, gram: torch.Tensor, accept: torch.Tensor) -> torch.Tensor:
        twice = 2 * torch.sum(accept)
        value = twice * gram[0] - 2 * torch.mv(gram, accept) + diagonal(gram)
        return accept * torch.relu(value)

    def largest_score(self, bounds: Bounds) -> int:
        largest = max(bounds.update, bounds.anchor, bounds.anchor_norm)
        return (4 * bounds.slots + 1) * largest

    def cost(self, slots: int) -> Cost:
        return Cost(signs=slots, rows=(3 * slots * slots + 39 * slots) // 2 + 4)
