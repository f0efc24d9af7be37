"""Multi-Krum: keep the n - f updates that lie closest to their neighbours.

Source: Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent", NeurIPS 2017.
"""

from collections.abc import Mapping, Sequence

import torch

from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.graph import DTYPE
from circuits.rules.base import SENTINEL, Gram, OutlierRule


class MultiKrum(OutlierRule):
    """Accepts i iff its score s_i is among the n - f smallest.

    s_i = sum of the n - f - 2 smallest D[i][j] over the other active j;
    D[i][j] = G[i][i] + G[j][j] - 2 G[i][j]. Ties at the threshold are accepted. Needs n >= 2 f + 3.
    """

    name = "multi_krum"
    parameters = ("f",)

    def check(self, active_count: int, params: Mapping[str, int]) -> None:
        if active_count < 2 * params["f"] + 3:
            raise FieldError("rule_params[f]", params["f"], f"multi_krum needs n >= 2f + 3, and n is {active_count}")

    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        members = [i for i, bit in enumerate(active) if bit]
        keep = len(members) - params["f"]
        score: dict[int, int] = {}
        for i in members:
            distances = sorted(gram[i][i] + gram[j][j] - 2 * gram[i][j] for j in members if j != i)
            score[i] = sum(distances[: keep - 2])
        threshold = sorted(score.values())[keep - 1]
        return [int(bool(bit) and score[i] <= threshold) for i, bit in enumerate(active)]

    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        slots = active.shape[0]
        norms = torch.stack([gram[i, i] for i in range(slots)])
        distance = norms.unsqueeze(1) + norms.unsqueeze(0) - 2 * gram
        pairs = active.unsqueeze(1) * active.unsqueeze(0) * (1 - torch.eye(slots, dtype=DTYPE))
        ascending = _sorted(distance * pairs + SENTINEL * (1 - pairs))
        # below[k] = 1 for k < n - f, so below[2:] marks the n - f - 2 nearest and the step down marks the threshold.
        below = (torch.arange(slots + 2, dtype=DTYPE) < torch.sum(active) - params[0]).to(DTYPE)
        score = torch.sum(ascending * below[2:].unsqueeze(0), dim=1)
        masked = score * active + SENTINEL * (1 - active)
        threshold = torch.sum(_sorted(masked) * (below[:slots] - below[1 : slots + 1]))
        return active * (masked <= threshold).to(DTYPE)

    def largest_compared(self, *, slots: int, dim: int, fmt: FixedPoint) -> int:
        return (slots - 2) * dim * ((1 << fmt.bits) - 1) ** 2


def _sorted(values: torch.Tensor) -> torch.Tensor:
    """Ascending along the last axis: TopK over all of it, for the prover loads no Sort."""
    return torch.topk(values, values.shape[-1], dim=-1, largest=False, sorted=True).values
