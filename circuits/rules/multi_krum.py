"""Multi-Krum: keep the n - f updates that lie closest to their neighbours.

Source: Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent", NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from circuits.errors import FieldError
from circuits.rules.base import MAX_SLOTS, Bounds, Cost, Gram, OutlierRule, Parameter
from circuits.rules.distance import distances_to_others, ordered_distances
from circuits.rules.order import SENTINEL, ascending, below, masked
from circuits.tensors import torch


class MultiKrum(OutlierRule):
    """Accepts i iff its score s_i is among the n - f smallest, n the number of active slots.

    s_i = sum of the n - f - 2 smallest D[i][j] over the other active j;
    D[i][j] = G[i][i] + G[j][j] - 2 G[i][j]. Ties at the threshold are accepted. Needs n >= 2 f + 3.
    """

    name = "multi_krum"
    formula = "s_i, the sum of its n-f-2 smallest D[i][j], is among the n-f smallest; needs n >= 2f + 3"
    source = "Blanchard et al., Machine Learning with Adversaries, NeurIPS 2017"
    parameters = (
        Parameter(name="f", low=0, high=(MAX_SLOTS - 3) // 2, meaning="how many outliers may be among the updates"),
    )

    def check(self, active_count: int, params: Mapping[str, int]) -> None:
        if active_count < 2 * params["f"] + 3:
            raise FieldError("rule_params[f]", params["f"], f"multi_krum needs n >= 2f + 3, and n is {active_count}")

    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        keep = sum(active) - params["f"]
        score = {i: sum(nearest[: keep - 2]) for i, nearest in distances_to_others(gram, active).items()}
        threshold = sorted(score.values())[keep - 1]
        return [int(bool(bit) and score[i] <= threshold) for i, bit in enumerate(active)]

    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        slots = len(active)
        # kept[k] = 1 for k < n - f, so kept[2:] marks the n - f - 2 nearest and the step down marks the threshold.
        kept = below(torch.sum(active) - params[0], slots + 1)
        nearest = ordered_distances(gram, active)
        score = masked(torch.sum(nearest * kept[2:], dim=1), active)
        threshold = torch.sum(ascending(score) * (kept[:slots] - kept[1:]))
        return active * (score <= threshold).to(active.dtype)

    def largest_sorted(self, bounds: Bounds) -> int:
        return (bounds.slots - 2) * bounds.distance

    def largest_compared(self, bounds: Bounds) -> int:
        return SENTINEL

    def cost(self, slots: int) -> Cost:
        return Cost(signs=slots * slots + slots + 1, rows=27 * slots * slots + 25 * slots + 12)
