"""A rule: any outlier rule with any contribution rule, as one statement about a Gram matrix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from circuits.circuit import Settings
from circuits.errors import FieldError
from circuits.rules.base import (
    MAX_SLOTS,
    MIN_SLOTS,
    Anchor,
    Bounds,
    ContributionRule,
    Gram,
    OutlierRule,
    Parameter,
    combined_anchor,
)
from circuits.rules.order import SENTINEL_BITS

_GRAM_BITS, _SCORE_BITS = 62, 63  # what the market's int64 and uint64 take
_MIN_LOGROWS, _MAX_LOGROWS = 13, 18
_MAX_BASE_BITS = 15
_SHARED_ROWS = 64  # the parts' own rows are measured apart, and together they may take a few more
_SPARE_ROWS = 64  # the last rows of a column are blinding


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is safe for a rule at a size.

    Attributes:
        settings: the circuit's, with its logrows and the legs that hold every compared magnitude.
        largest_compared: bound of the magnitudes whose sign is taken, below base ^ legs.
        largest_score: bound of a score, below 2^60.
    """

    settings: Settings
    largest_compared: int
    largest_score: int


@dataclass(frozen=True, repr=False)
class Rule:
    """An outlier rule and a contribution rule (FieldError if they need different anchors)."""

    outlier: OutlierRule
    contribution: ContributionRule

    def __post_init__(self) -> None:
        combined_anchor(self.outlier, self.contribution)

    @property
    def name(self) -> str:
        return f"{self.outlier.name}+{self.contribution.name}"

    def __repr__(self) -> str:
        return f"Rule({self.name})"

    @property
    def anchor(self) -> Anchor:
        """What slot 0 must hold; unless it is NONE, active[0] must be 0."""
        return combined_anchor(self.outlier, self.contribution)

    @property
    def params_schema(self) -> tuple[Parameter, ...]:
        """The public parameters, in the order of the circuit's input."""
        return self.outlier.parameters

    def parameter_list(self, params: Mapping[str, int]) -> list[int]:
        """The parameters in the circuit's order (FieldError if one is missing, unknown or out of range)."""
        names = tuple(parameter.name for parameter in self.params_schema)
        for name in params:
            if name not in names:
                raise FieldError(f"rule_params[{name}]", params[name], f"{self.name} has {names}")
        for parameter in self.params_schema:
            value = params.get(parameter.name)
            if value is None or not parameter.low <= value <= parameter.high:
                limit = f"it must lie in [{parameter.low}, {parameter.high}]"
                raise FieldError(f"rule_params[{parameter.name}]", value, limit)
        return [int(params[name]) for name in names]

    def reference(self, gram: Gram, active: Sequence[int], **params: int) -> tuple[list[int], list[int]]:
        """(accept, score): the definition of the rule, on integers of any size.

        Args:
            gram: symmetric integers [slots][slots]; rows of inactive slots are ignored, except for an anchor's.
            active: 1 for a slot that a trainer filled, 0 for the others and for an anchor.
            params: the outlier rule's parameters by name.
        Raises:
            FieldError: shapes differ, an anchor is active, a parameter is wrong, or the rule is not defined for so few
                active slots.
        """
        self.parameter_list(params)
        slots = len(gram)
        if len(active) != slots or any(len(row) != slots for row in gram):
            raise FieldError("gram", f"{slots} rows", f"it must be square, with {len(active)} rows")
        if any(bit not in (0, 1) for bit in active):
            raise FieldError("active", list(active), "it must hold 0 or 1")
        if self.anchor is not Anchor.NONE and active[0]:
            raise FieldError("active", list(active), f"slot 0 holds the {self.anchor.value}, and is not active")
        bits = [int(bit) for bit in active]
        self.outlier.check(sum(bits), params)
        exact = [[int(x) for x in row] for row in gram]
        accept = self.outlier.reference(exact, bits, params)
        return accept, self.contribution.reference(exact, accept)

    def export_onnx(self, path: Path, slots: int, **params: int) -> None:
        """Writes the graph. Parameters are public inputs of it: given ones are checked, and leave no trace."""
        from circuits import graph  # noqa: PLC0415  (torch is for those who make keys)
        from circuits.rules.joined import RuleGraph  # noqa: PLC0415

        if params:
            self.parameter_list(params)
        lengths = self.input_lengths(slots)
        names = ["gram", "active", "params"][: len(lengths)]
        graph.export(RuleGraph(self.outlier, self.contribution, slots), lengths, names, path)

    def input_lengths(self, slots: int) -> tuple[int, ...]:
        """Entries of the graph's inputs: Gram triangle, active bits, and parameters if there are any."""
        lengths = (slots * (slots + 1) // 2, slots, len(self.params_schema))
        return lengths if lengths[-1] else lengths[:-1]

    def rows(self, slots: int, legs: int) -> int:
        """An upper bound of the circuit's rows when magnitudes are cut into `legs` digits."""
        costs = [self.outlier.cost(slots), self.contribution.cost(slots)]
        return _SHARED_ROWS + sum(cost.rows + 3 * legs * cost.signs for cost in costs)

    def settings(self, slots: int) -> Settings:
        """The smallest circuit that holds the rule; it does not depend on the model's size.

        Larger circuits hold larger lookup tables, hence fewer and larger digits.
        """
        room_bits = max(self.outlier.room_bits, self.contribution.room_bits)
        for logrows in range(_MIN_LOGROWS, _MAX_LOGROWS + 1):
            base_bits = min(logrows - 1, _MAX_BASE_BITS)
            legs = -(-room_bits // base_bits)
            if self.rows(slots, legs) + _SPARE_ROWS <= 1 << logrows:
                break
        return Settings(logrows=logrows, inputs="public", decomposition_base=1 << base_bits, decomposition_legs=legs)

    def limits(self, slots: int, dim: int, bits: int) -> Limits:
        """The settings that are safe for updates of `dim` entries of `bits` bits.

        Raises:
            FieldError: `slots` is out of range, or a Gram entry, a compared value or a score could leave its room.
        """
        if not MIN_SLOTS <= slots <= MAX_SLOTS:
            raise FieldError("slots", slots, f"it must lie in [{MIN_SLOTS}, {MAX_SLOTS}]")
        bounds = Bounds.of(self.anchor, slots=slots, dim=dim, bits=bits)
        score = self.contribution.largest_score(bounds)
        for what, largest, limit_bits in (
            ("Gram entries", max(bounds.update, bounds.anchor, bounds.anchor_norm), _GRAM_BITS),
            ("sorted values", self.outlier.largest_sorted(bounds), SENTINEL_BITS),
            ("compared values of the outlier rule", self.outlier.largest_compared(bounds), self.outlier.room_bits),
            ("scores", score, min(_SCORE_BITS, self.contribution.room_bits)),
        ):
            if largest + 1 >= 1 << limit_bits:  # a comparison takes the sign of difference + 1
                limit = f"{self.name} at {bits} bits would have {what} up to {largest}, not below 2^{limit_bits}"
                raise FieldError("dim", dim, limit)
        return Limits(
            settings=self.settings(slots),
            largest_compared=max(score, self.outlier.largest_compared(bounds)),
            largest_score=score,
        )


def largest_dim(rule: Rule, slots: int, bits: int) -> int:
    """The largest model whose updates the rule's limits allow (FieldError if there is none)."""
    rule.limits(slots, 1, bits)
    low, high = 1, 1 << (_SCORE_BITS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            rule.limits(slots, middle, bits)
            low = middle
        except FieldError:
            high = middle
    return low
