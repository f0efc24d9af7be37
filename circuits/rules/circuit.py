"""A rule as a circuit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from circuits.circuit import Circuit, Settings
from circuits.rules.rule import Rule


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
        return self.rule.settings(self.slots)

    @property
    def input_lengths(self) -> tuple[int, ...]:
        return self.rule.input_lengths(self.slots)

    def inputs(self, triangle: Sequence[int], active: Sequence[int], params: Sequence[int]) -> list[list[int]]:
        """What the prover takes, in order; also the first of the proof's instances."""
        vectors = [list(triangle), list(active), list(params)]
        return vectors if params else vectors[:-1]

    def export_onnx(self, path: Path) -> None:
        self.rule.export_onnx(path, self.slots)
