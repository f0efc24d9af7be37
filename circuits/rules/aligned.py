"""Aligned: only updates that point the owner's way.

Source: the direction test of Cao et al., "FLTrust: Byzantine-robust Federated Learning via Trust Bootstrapping",
NDSS 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from circuits.rules.base import Anchor, Bounds, Cost, Gram, OutlierRule
from circuits.tensors import torch


class Aligned(OutlierRule):
    """Accepts i iff <u_i, r> > 0, with r the owner's committed reference update in slot 0."""

    name = "aligned"
    formula = "<u_i, r> > 0, r the owner's reference update"
    source = "Cao et al., FLTrust, NDSS 2021"
    anchor = Anchor.REFERENCE

    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        return [int(bool(bit) and gram[0][i] > 0) for i, bit in enumerate(active)]

    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        return active * (gram[0] > 0).to(active.dtype)

    def largest_compared(self, bounds: Bounds) -> int:
        return bounds.anchor

    def cost(self, slots: int) -> Cost:
        return Cost(signs=slots, rows=slots * slots + 22 * slots)
