"""Cross-round: an update that goes where the last round went is accepted; any other must pass the cross-client check.

Source: the cross-round check of the proof-of-contribution market's authors (arXiv 2302.14031 and later work), against
the global update. Their check against a client's own previous update needs a slot for each, and is not part of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from circuits.graph import diagonal
from circuits.rules.base import Anchor, Bounds, Cost, Gram, OutlierRule, Parameter
from circuits.rules.three_sigma import ThreeSigma
from circuits.tensors import torch

_PERCENT = 100
_THREE_SIGMA = ThreeSigma()


class CrossRound(OutlierRule):
    """Accepts i iff cos(u_i, P) >= bound_percent / 100, or `three_sigma` (over all active slots) accepts it.

    P is the previous round's accepted sum, in slot 0. The cosine is compared by signed squares, where x|x| keeps the
    order and the sign: with p = <u_i, P>, 100^2 p|p| >= b|b| G[i][i] <P, P>. If <P, P> or G[i][i] is 0 there is no
    cosine, and the update goes to `three_sigma`: so does every update of the first round.
    """

    name = "cross_round"
    formula = "100^2 p|p| >= b|b| G[i][i] <P,P>, p = <u_i, P>, P the previous accepted sum; or three_sigma(l) accepts"
    source = "the cross-round check of arXiv 2302.14031 and its authors' later work"
    anchor = Anchor.PREVIOUS_SUM
    room_bits = _THREE_SIGMA.room_bits
    parameters = (
        Parameter(name="bound_percent", low=-100, high=100, meaning="smallest cosine that is accepted, in hundredths"),
        *_THREE_SIGMA.parameters,
    )

    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        bound, otherwise = params["bound_percent"], _THREE_SIGMA.reference(gram, active, params)

        def goes_along(i: int) -> bool:
            p, norms = gram[0][i], gram[0][0] * gram[i][i]
            return norms != 0 and _PERCENT**2 * p * abs(p) >= bound * abs(bound) * norms

        return [int(bool(bit) and (goes_along(i) or bool(otherwise[i]))) for i, bit in enumerate(active)]

    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        otherwise = _THREE_SIGMA.graph(gram, active, params[1:])
        p, norms, bound = gram[0] * active, gram[0, 0] * diagonal(gram) * active, params[0]
        reaches = (_PERCENT**2 * p * torch.abs(p) >= bound * torch.abs(bound) * norms).to(active.dtype)
        along = reaches * (1 - (norms == 0).to(active.dtype))
        return active * (along + otherwise - along * otherwise)

    def largest_sorted(self, bounds: Bounds) -> int:
        return _THREE_SIGMA.largest_sorted(bounds)

    def largest_compared(self, bounds: Bounds) -> int:
        cosine = _PERCENT**2 * (bounds.anchor**2 + bounds.anchor_norm * bounds.update)
        return max(cosine, _THREE_SIGMA.largest_compared(bounds))

    def cost(self, slots: int) -> Cost:
        inner = _THREE_SIGMA.cost(slots)
        return Cost(signs=inner.signs + 2 * slots + 2, rows=inner.rows + 41 * slots + 12)
