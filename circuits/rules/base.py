"""What an outlier rule and a contribution rule are: each an integer reference and a graph, side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from circuits.errors import FieldError
from circuits.tensors import torch

MIN_SLOTS, MAX_SLOTS = 3, 32

Gram = Sequence[Sequence[int]]


class Anchor(Enum):
    """What slot 0 of the Gram matrix holds, if not an update: active[0] is 0, so it is neither accepted nor paid."""

    NONE = "none"
    REFERENCE = "reference"
    """The owner's committed reference update, with entries in the range of an update."""
    PREVIOUS_SUM = "previous_sum"
    """The accepted sum of the round before; the empty column where there is none, or where nobody was accepted."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A public input of the circuit: one key serves every value.

    Attributes:
        name: as in the task's configuration, with its unit.
        low, high: the inclusive range.
        meaning: one line.
    """

    name: str
    low: int
    high: int
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How large the entries of a round's Gram matrix can be.

    Attributes:
        slots: slots, the anchor's among them.
        update: bound of |<u_i, u_j>| between updates: dim * 4^(bits - 1).
        anchor: bound of |<u_i, a>|, with a the anchor; 0 without one.
        anchor_norm: bound of <a, a>.
    """

    slots: int
    update: int
    anchor: int
    anchor_norm: int

    @property
    def distance(self) -> int:
        """Bound of |u_i - u_j|^2."""
        return 4 * self.update

    @classmethod
    def of(cls, anchor: Anchor, *, slots: int, dim: int, bits: int) -> Bounds:
        update = dim * 4 ** (bits - 1)
        # An entry of the previous sum is at most slots - 1 <= 31 entries of updates: bits + 5 bits.
        grown = {Anchor.NONE: 0, Anchor.REFERENCE: 1, Anchor.PREVIOUS_SUM: slots - 1}[anchor]
        return cls(slots=slots, update=update, anchor=grown * update, anchor_norm=grown**2 * update)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a rule's graph takes of the circuit, measured at every size.

    Attributes:
        signs: values whose sign is taken: comparisons, absolute values, neighbours in a sorted order.
        rows: rows beside the digits of those, which take three each.
    """

    signs: int
    rows: int


class _Part(ABC):
    name: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    anchor: ClassVar[Anchor] = Anchor.NONE
    room_bits: ClassVar[int] = 60

    @abstractmethod
    def largest_compared(self, bounds: Bounds) -> int:
        """An upper bound of the magnitudes whose sign the graph takes, for every allowed parameter."""

    @abstractmethod
    def cost(self, slots: int) -> Cost:
        """See Cost; `benchmarks/rules.py` measures it."""


class OutlierRule(_Part):
    """Which active slots are accepted.

    Attributes:
        name: as in the task's configuration.
        formula, source: one line each.
        anchor: what slot 0 must hold.
        room_bits: compared magnitudes stay below 2^room_bits, whatever the model.
        parameters: the rule's public parameters, in the order of the circuit's input.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def check(self, active_count: int, params: Mapping[str, int]) -> None:
        """FieldError unless the rule is defined for this many active slots."""

    @abstractmethod
    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        """accept[slots] in {0, 1}, exactly. `check` has passed."""

    @abstractmethod
    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        """The same on tensors: gram [slots, slots], active [slots], params [len(parameters)] -> accept [slots]."""

    def largest_sorted(self, bounds: Bounds) -> int:
        """An upper bound of what the graph sorts (it must stay below the sentinel of `order`)."""
        return 0


class ContributionRule(_Part):
    """What an accepted slot contributed."""

    @abstractmethod
    def reference(self, gram: Gram, accept: Sequence[int]) -> list[int]:
        """score[slots] >= 0, exactly; 0 where accept is 0."""

    @abstractmethod
    def graph(self, gram: torch.Tensor, accept: torch.Tensor) -> torch.Tensor:
        """The same on tensors."""

    @abstractmethod
    def largest_score(self, bounds: Bounds) -> int:
        """An upper bound of the score of a slot."""

    def largest_compared(self, bounds: Bounds) -> int:
        return self.largest_score(bounds)


def combined_anchor(outlier: OutlierRule, contribution: ContributionRule) -> Anchor:
    """The anchor that both can live with (FieldError if they need two different ones)."""
    wanted = {outlier.anchor, contribution.anchor} - {Anchor.NONE}
    if len(wanted) > 1:
        limit = f"it needs {contribution.anchor.value} in slot 0, where {outlier.name} has {outlier.anchor.value}"
        raise FieldError("contribution", contribution.name, limit)
    return wanted.pop() if wanted else Anchor.NONE
