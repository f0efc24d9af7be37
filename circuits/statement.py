"""What a task proves: the two circuits that its configuration stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from circuits import rules
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.linear.gram import GramCircuit
from circuits.proof import to_field
from circuits.rules import Anchor, Rule, RuleCircuit


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Everything the circuits of a task depend on.

    Attributes:
        slots: most trainers in a round, in [3, 32].
        dim: entries of an update.
        fmt: number format of the updates.
        logrows: log2 of the commitments' domain.
        outlier, contribution: names of the rules.
        rule_params: public parameters of the outlier rule by name.
    """

    slots: int
    dim: int
    fmt: FixedPoint
    logrows: int = 16
    outlier: str = "multi_krum"
    contribution: str = "projection"
    rule_params: Mapping[str, int] = field(default_factory=lambda: {"f": 2})

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise FieldError("dim", self.dim, "it must be positive")
        self.rule.parameter_list(self.rule_params)
        if self.rule.anchor is not Anchor.NONE:
            # Without a contract that puts it there, a trainer's update would be the anchor.
            raise FieldError("outlier", self.rule.name, f"a task puts no {self.rule.anchor.value} in slot 0")
        self.rule.limits(self.slots, self.dim, self.fmt.bits)
        _ = self.linear_circuit  # refuses what does not fit its rows

    @property
    def rule(self) -> Rule:
        return rules.load(self.outlier, self.contribution)

    @property
    def rule_param_list(self) -> tuple[int, ...]:
        """The parameters in the order of the circuit's input."""
        return tuple(self.rule.parameter_list(self.rule_params))

    @property
    def rule_param_words(self) -> tuple[int, ...]:
        """The same as the contract's configuration holds them: field elements."""
        return tuple(to_field(value) for value in self.rule_param_list)

    @property
    def linear_circuit(self) -> GramCircuit:
        return GramCircuit(slots=self.slots, dim=self.dim, fmt=self.fmt, logrows=self.logrows)

    @property
    def rule_circuit(self) -> RuleCircuit:
        return RuleCircuit(rule=self.rule, slots=self.slots)

    def active_bits(self, trainers: int) -> list[int]:
        """active[slots] of a round: the first `trainers` slots are filled."""
        if not 0 <= trainers <= self.slots:
            raise FieldError("trainers", trainers, f"there are {self.slots} slots")
        return [1] * trainers + [0] * (self.slots - trainers)


DEMO_STATEMENT = Statement(slots=8, dim=650, fmt=FixedPoint(bits=8, fraction_bits=7))
"""Softmax regression on 8x8 digits with eight trainers: the demo's task, whose keys `make setup` prepares."""
