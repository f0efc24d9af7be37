"""Three sigma: leave out what lies far from the centre of the half that agrees best.

Source: the cross-client check of the proof-of-contribution market (arXiv 2302.14031) and its authors' later work: a
centre chosen by Krum, and the three-sigma rule on the distances to it. What is silent there is fixed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from circuits.graph import diagonal
from circuits.rules.base import Bounds, Cost, Gram, OutlierRule, Parameter
from circuits.rules.distance import distances_to_others, ordered_distances
from circuits.rules.order import ascending, below, lower_median, lower_median_of, masked
from circuits.tensors import torch

_MAX_L = 5


class ThreeSigma(OutlierRule):
    """Accepts i iff n x_i <= sum(x), or (n x_i - sum(x))^2 <= l^2 (n sum(x^2) - sum(x)^2).

    That is: x_i is at most l standard deviations above the mean of x, over the n active slots.
    x_i = |h u_i - S|^2 = h^2 G[i][i] - 2 h <u_i, S> + <S, S>: h^2 times the squared distance to the mean of the half H,
    with h its size and S its sum. H holds every active i whose Krum score is at most the lower median of the scores
    (so ties belong to it, and h >= n / 2). The Krum score is the sum of the floor(n / 2) smallest D[i][j] over the
    other active j: what multi-Krum takes with the largest f that n allows.

    No set of n numbers has one more than sqrt(n - 1) deviations above its mean, so a larger l removes nothing:
    l = 3 needs n >= 11, l = 2 needs n >= 6, and l > 5 is of no use up to 32 slots.
    """

    name = "three_sigma"
    formula = "n x_i <= sum(x), or (n x_i - sum(x))^2 <= l^2 (n sum(x^2) - sum(x)^2), x_i the distance to the best half"
    source = "the cross-client check of arXiv 2302.14031 and its authors' later work"
    room_bits = 117
    parameters = (Parameter(name="l", low=0, high=_MAX_L, meaning="standard deviations that are accepted"),)

    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        n = sum(active)
        krum = {i: sum(nearest[: n // 2]) for i, nearest in distances_to_others(gram, active).items()}
        middle = lower_median(list(krum.values()))
        half = [i for i in krum if krum[i] <= middle]
        h, norm = len(half), sum(gram[i][j] for i in half for j in half)
        x = {i: h * h * gram[i][i] - 2 * h * sum(gram[i][j] for j in half) + norm for i in krum}
        total, squares = sum(x.values()), sum(value * value for value in x.values())
        room = params["l"] ** 2 * (n * squares - total * total)
        return [int(bool(bit) and max(0, n * x[i] - total) ** 2 <= room) for i, bit in enumerate(active)]

    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        slots, count = len(active), torch.sum(active)
        near = slots // 2
        odd = below(count, near, start=1, stride=2)  # k < floor(n / 2)
        krum = masked(torch.sum(ordered_distances(gram, active)[:, :near] * odd, dim=1), active)
        half = active * (krum <= lower_median_of(ascending(krum), count)).to(active.dtype)
        h, along = torch.sum(half), torch.mv(gram, half)
        x = active * (h * h * diagonal(gram) - 2 * h * along + torch.sum(half * along))
        total = torch.sum(x)
        room = params[0] * params[0] * (count * torch.sum(x * x) - total * total)
        above = torch.relu(count * x - total)
        return active * (above * above <= room).to(active.dtype)

    def largest_sorted(self, bounds: Bounds) -> int:
        return bounds.slots // 2 * bounds.distance

    def largest_compared(self, bounds: Bounds) -> int:
        x = bounds.slots**2 * bounds.distance
        # n sum(x^2) - sum(x)^2 <= (n max(x))^2 / 4 (Popoviciu).
        return max(4, _MAX_L**2) * (bounds.slots * x) ** 2 // 4

    def cost(self, slots: int) -> Cost:
        return Cost(signs=slots * slots + 3 * slots + 1, rows=28 * slots * slots + 66 * slots + 24)
