"""What a rule is: an outlier rule and a contribution rule, each an integer reference and a graph side by side."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar

import torch

from circuits import graph
from circuits.circuit import Circuit, Settings
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint

MIN_SLOTS, MAX_SLOTS = 3, 32
DECOMPOSITION_LEGS = 6
# Stands for "infinitely far" in sorts. A difference of two compared values must stay below 256^6 = 2^48.
SENTINEL_BITS = 46
SENTINEL = 1 << SENTINEL_BITS

Gram = Sequence[Sequence[int]]


class Anchor(Enum):
    """What slot 0 of the Gram matrix holds, if not an update: active[0] is 0, so it is neither accepted nor paid."""

    NONE = "none"
    REFERENCE = "reference"
    """The owner's committed reference update, with entries in the range of an update."""
    PREVIOUS_SUM = "previous_sum"
    """The accepted sum of the round before; the empty column where there is none, or where nobody was accepted."""


class OutlierRule(ABC):
    """Which active slots are accepted.

    Attributes:
        name: as in the task's configuration.
        anchor: what slot 0 must hold.
        parameters: names of the rule's public parameters, in the order of the circuit's input.
    """

    anchor: ClassVar[Anchor] = Anchor.NONE
    name: str
    parameters: tuple[str, ...]

    @abstractmethod
    def check(self, active_count: int, params: Mapping[str, int]) -> None:
        """FieldError unless the rule is defined for this many active slots."""

    @abstractmethod
    def reference(self, gram: Gram, active: Sequence[int], params: Mapping[str, int]) -> list[int]:
        """accept[slots] in {0, 1}, exactly. `check` has passed."""

    @abstractmethod
    def graph(self, gram: torch.Tensor, active: torch.Tensor, params: torch.Tensor) -> torch.Tensor:
        """The same on tensors: gram [slots, slots], active [slots], params [len(parameters)] -> accept [slots]."""

    @abstractmethod
    def largest_compared(self, *, slots: int, dim: int, fmt: FixedPoint) -> int:
        """An upper bound on the magnitudes that the graph sorts or compares."""


class ContributionRule(ABC):
    """What an accepted slot contributed."""

    anchor: ClassVar[Anchor] = Anchor.NONE
    name: str

    @abstractmethod
    def reference(self, gram: Gram, accept: Sequence[int]) -> list[int]:
        """score[slots] >= 0, exactly; 0 where accept is 0."""

    @abstractmethod
    def graph(self, gram: torch.Tensor, accept: torch.Tensor) -> torch.Tensor:
        """The same on tensors."""

    @abstractmethod
    def largest_compared(self, *, slots: int, dim: int, fmt: FixedPoint) -> int:
        """An upper bound on the magnitudes that the graph compares."""


@dataclass(frozen=True, repr=False)
class Rule:
    """An outlier rule and a contribution rule, as one statement about a Gram matrix."""

    outlier: OutlierRule
    contribution: ContributionRule

    @property
    def name(self) -> str:
        return f"{self.outlier.name}+{self.contribution.name}"

    @property
    def anchor(self) -> Anchor:
        """What slot 0 must hold for both parts."""
        return self.outlier.anchor if self.outlier.anchor is not Anchor.NONE else self.contribution.anchor

    def __repr__(self) -> str:
        return f"Rule({self.name})"

    def parameter_list(self, params: Mapping[str, int]) -> list[int]:
        """The parameters in the circuit's order (FieldError if one is missing, unknown or negative)."""
        for name in params:
            if name not in self.outlier.parameters:
                raise FieldError(f"rule_params[{name}]", params[name], f"{self.name} has {self.outlier.parameters}")
        for name in self.outlier.parameters:
            if not 0 <= params.get(name, -1) < 1 << 32:
                raise FieldError(f"rule_params[{name}]", params.get(name), "it must lie in [0, 2^32)")
        return [params[name] for name in self.outlier.parameters]

    def reference(self, gram: Gram, active: Sequence[int], **params: int) -> tuple[list[int], list[int]]:
        """(accept, score): the definition of the rule, on integers of any size.

        Args:
            gram: symmetric integers [slots][slots]; rows of inactive slots are ignored.
            active: 1 for a slot that a trainer filled, 0 for the others.
            params: the outlier rule's parameters by name.
        Raises:
            FieldError: shapes differ, or the rule is not defined for so few active slots.
        """
        self.parameter_list(params)
        slots = len(gram)
        if len(active) != slots or any(len(row) != slots for row in gram):
            raise FieldError("gram", f"{slots} rows", f"it must be square, with {len(active)} rows")
        if any(bit not in (0, 1) for bit in active):
            raise FieldError("active", list(active), "it must hold 0 or 1")
        self.outlier.check(sum(active), params)
        exact = [[int(x) for x in row] for row in gram]
        accept = self.outlier.reference(exact, active, params)
        return accept, self.contribution.reference(exact, accept)

    def check_limits(self, *, slots: int, dim: int, fmt: FixedPoint) -> None:
        """FieldError if a value that the circuit compares could leave the room of its decomposition."""
        if not MIN_SLOTS <= slots <= MAX_SLOTS:
            raise FieldError("slots", slots, f"it must lie in [{MIN_SLOTS}, {MAX_SLOTS}]")
        for part in (self.outlier, self.contribution):
            largest = part.largest_compared(slots=slots, dim=dim, fmt=fmt)
            if largest >= SENTINEL:
                raise FieldError(
                    "dim", dim, f"{part.name} would compare values up to {largest}, over 2^{SENTINEL_BITS}"
                )


class _RuleGraph(torch.nn.Module):
    def __init__(self, rule: Rule, slots: int) -> None:
        super().__init__()
        self.rule, self.index = rule, graph.pair_index(slots)

    def forward(
        self, triangle: torch.Tensor, active: torch.Tensor, params: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        gram = triangle[self.index]
        accept = self.rule.outlier.graph(gram, active, params)
        return accept, self.rule.contribution.graph(gram, accept)


@dataclass(frozen=True, kw_only=True)
class RuleCircuit(Circuit):
    """A rule as an ezkl circuit: public triangle, active bits and parameters -> accept, score.

    It does not see the model's size: one key serves every task with these slots and this rule.
    """

    rule: Rule
    slots: int

    @property
    def name(self) -> str:
        return f"{self.rule.name}-n{self.slots}"

    @property
    def settings(self) -> Settings:
        # Measured: 4,343 rows at 8 slots, growing with slots^2 * log(slots).
        logrows = 13 if self.slots <= 8 else 14 if self.slots <= 16 else 16
        return Settings(logrows=logrows, inputs="public", decomposition_legs=DECOMPOSITION_LEGS)

    @property
    def input_lengths(self) -> tuple[int, ...]:
        return (self.slots * (self.slots + 1) // 2, self.slots, len(self.rule.outlier.parameters))

    def export_onnx(self, path: Path) -> None:
        graph.export(_RuleGraph(self.rule, self.slots), self.input_lengths, ["gram", "active", "params"], path)
