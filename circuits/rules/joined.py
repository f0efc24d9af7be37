"""An outlier rule and a contribution rule as one graph."""

import torch

from circuits.graph import pair_index
from circuits.rules.base import ContributionRule, OutlierRule


class RuleGraph(torch.nn.Module):
    """(Gram triangle, active, parameters if there are any) -> (accept, score)."""

    def __init__(self, outlier: OutlierRule, contribution: ContributionRule, slots: int) -> None:
        super().__init__()
        self.outlier, self.contribution, self.index = outlier, contribution, pair_index(slots)

    def forward(self, triangle: torch.Tensor, active: torch.Tensor, *params: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gram = triangle[self.index]
        accept = self.outlier.graph(gram, active, params[0] if params else active[:0])
        return accept, self.contribution.graph(gram, accept)
