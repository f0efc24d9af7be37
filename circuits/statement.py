"""What a task proves: the update argument and the rule's circuit that its configuration stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from circuits import rules
from circuits.commitment import MIN_LOGROWS, SALT_ROWS, TAIL_ROWS, smallest_logrows
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.linear.update_argument import UpdateKey, make_key, sum_bits
from circuits.proof import to_field
from circuits.rules import Anchor, Rule, RuleCircuit
from circuits.srs import MAX_K, Srs


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Everything the proofs of a task depend on.

    Attributes:
        slots: most updates in a round, an anchor's slot among them, in [3, 32].
        dim: entries of an update, in [1, 2^logrows - 518].
        fmt: number format of the updates.
        logrows: log2 of the commitments' domain, in [10, 26]; 0 becomes the smallest that holds an update.
        outlier, contribution: names of the rules.
        rule_params: public parameters of the outlier rule by name.
    """

    slots: int
    dim: int
    fmt: FixedPoint
    logrows: int = 0
    outlier: str = "multi_krum"
    contribution: str = "projection"
    rule_params: Mapping[str, int] = field(default_factory=lambda: {"f": 2})

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise FieldError("dim", self.dim, "it must be positive")
        if self.logrows == 0:
            object.__setattr__(self, "logrows", smallest_logrows(self.dim))
        if not MIN_LOGROWS <= self.logrows <= MAX_K:
            raise FieldError("logrows", self.logrows, f"it must lie in [{MIN_LOGROWS}, {MAX_K}]")
        room = (1 << self.logrows) - SALT_ROWS - TAIL_ROWS
        if self.dim > room:
            raise FieldError("dim", self.dim, f"a column of 2^{self.logrows} rows holds at most {room}")
        self.rule.parameter_list(self.rule_params)
        self.rule.limits(self.slots, self.dim, self.fmt.bits)

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
    def rule_circuit(self) -> RuleCircuit:
        return RuleCircuit(rule=self.rule, slots=self.slots)

    @property
    def anchor(self) -> Anchor:
        """What slot 0 of every round holds."""
        return self.rule.anchor

    @property
    def anchors(self) -> int:
        """How many slots are not a trainer's: 1 or 0."""
        return int(self.anchor is not Anchor.NONE)

    def update_key(self, srs: Srs) -> UpdateKey:
        """The update argument's key over the string of the commitments' domain."""
        first_bits = sum_bits(self.fmt, self.slots) if self.anchor is Anchor.PREVIOUS_SUM else None
        return make_key(srs, dim=self.dim, bits=self.fmt.bits, first_bits=first_bits)

    def active_bits(self, filled: int) -> list[int]:
        """active[slots] of a round: the first `filled` slots but an anchor's."""
        if not self.anchors <= filled <= self.slots:
            raise FieldError("trainers", filled, f"there are {self.slots} slots, of which {self.anchors} an anchor's")
        return [0] * self.anchors + [1] * (filled - self.anchors) + [0] * (self.slots - filled)


DEMO_STATEMENT = Statement(slots=8, dim=650, fmt=FixedPoint(bits=8, fraction_bits=7))
"""Softmax regression on 8x8 digits with eight trainers: the demo's task, whose strings `make setup` makes."""
