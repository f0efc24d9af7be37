"""Median absolute deviation: leave out whose typical distance to the others is far above the typical one.

Source: Leys et al., "Detecting outliers: Do not use standard deviation around the mean, use absolute deviation around
the median", J. Exp. Soc. Psychology 49(4), 2013; 1.4826 makes the deviation that of a normal distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from circuits.rules.base import Bounds, Cost, Gram, OutlierRule, Parameter
from circuits.rules.distance import distances_to_others, ordered_distances
from circuits.rules.order import ascending, lower_median, lower_median_of, masked
from circuits.tensors import torch

# 1.4826 = 7413 / 5000: the protocol's 14826 and 10000, halved.
_DEVIATIONS, _UNITS = 7413, 5000
_MAX_C = 15


class Mad(OutlierRule):
    """Accepts i iff 10000 (s_i - m) <= 14826 c M.

    s_i = lower median of D[i][j] over the other active j (0 for a lone update), m = lower median of s over the active
    slots, M = lower median of |s - m|. Needs no guess of how many outliers there are. Half of the updates at least
    are always accepted.
    """

    name = "mad"
    formula = "10000 (s_i - m) <= 14826 c M; s_i = median_j D[i][j], m = median s, M = median |s - m|"
    source = "Leys et al., J. Exp. Soc. Psychology 49(4), 2013"
    room_bits = 72
    parameters = (Parameter(name="c", low=0, high=_MAX_C, meaning="deviations above the median that are accepted"),)

    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        typical = {i: lower_median(nearest) for i, nearest in distances_to_others(gram, active).items()}
        median = lower_median(list(typical.values()))
        deviation = lower_median([abs(s - median) for s in typical.values()])
        room = _DEVIATIONS * params["c"] * deviation
        return [int(bool(bit) and _UNITS * (typical[i] - median) <= room) for i, bit in enumerate(active)]

    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        count = torch.sum(active)
        typical = lower_median_of(ordered_distances(gram, active), count - 1)
        median = lower_median_of(ascending(masked(typical, active)), count)
        above = (typical - median) * active
        deviation = lower_median_of(ascending(masked(torch.abs(above), active)), count)
        return active * (_UNITS * above <= _DEVIATIONS * params[0] * deviation).to(active.dtype)

    def largest_sorted(self, bounds: Bounds) -> int:
        return bounds.distance

    def largest_compared(self, bounds: Bounds) -> int:
        return _DEVIATIONS * _MAX_C * bounds.distance + _UNITS * bounds.distance

    def cost(self, slots: int) -> Cost:
        return Cost(signs=slots * slots + 7 * slots // 2 + 2, rows=27 * slots * slots + 61 * slots + 20)
