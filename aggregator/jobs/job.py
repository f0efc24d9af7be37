"""What is to be proven, as small values that travel to a worker; what they are about stays in the content store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from circuits import rules
from circuits.bn254 import G1Point
from circuits.fixedpoint import FixedPoint
from circuits.linear.update_argument import peak_bytes
from circuits.rules import RuleCircuit
from circuits.statement import Statement

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ColumnAt:
    """Where a column's bytes are.

    Attributes:
        cid: in the content store.
        form: an update's encoding, or a model's, which holds sums of updates too.
        key: of a sealed object, and of no other; None if the bytes are plain.
    """

    cid: bytes
    form: Literal["update", "model"] = "update"
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class LinearJob:
    """An update argument.

    Attributes:
        task_id, round: what it is for.
        logrows: of the string. key: the verifying key's bytes, which name string and dim.
        context: that the proof is bound to.
        columns: of the filled slots, in order. points: their commitments.
    """

    kind: ClassVar[str] = "linear"
    stops_when_asked: ClassVar[bool] = True

    task_id: int
    round: int
    logrows: int
    dim: int
    fmt: FixedPoint
    key: bytes
    context: bytes
    columns: tuple[ColumnAt, ...]
    points: tuple[G1Point, ...]

    @property
    def cids(self) -> tuple[bytes, ...]:
        """What a worker reads."""
        return tuple(column.cid for column in self.columns)

    @property
    def memory_bytes(self) -> int:
        return linear_memory_bytes(logrows=self.logrows, columns=len(self.columns), fmt=self.fmt)


def linear_memory_bytes(*, logrows: int, columns: int, fmt: FixedPoint) -> int:
    """What an update argument takes at most in its worker: see docs/proving-at-scale.md."""
    rows = 1 << logrows
    string = 128 * rows  # mapped
    planes = columns * rows * -(-fmt.bits // 8) + 3 * rows  # three bytes a row for an anchor that holds a sum
    reading = 40 * rows  # one column: its bytes, its integers, and the copies that are checked
    return peak_bytes(logrows) + string + planes + reading + 96 * _MIB


@dataclass(frozen=True, kw_only=True)
class RuleJob:
    """A rule's proof.

    Attributes:
        outlier, contribution, slots: the circuit. logrows: its size.
        inputs: one vector of integers for each input of the circuit.
        vka_digest: of the keys that the task pins; a worker that derives others makes no proof.
    """

    kind: ClassVar[str] = "rule"
    stops_when_asked: ClassVar[bool] = False

    task_id: int
    round: int
    outlier: str
    contribution: str
    slots: int
    logrows: int
    inputs: tuple[tuple[int, ...], ...]
    vka_digest: bytes

    @classmethod
    def of(
        cls, statement: Statement, inputs: Sequence[Sequence[int]], *, task_id: int, round: int, vka_digest: bytes
    ) -> "RuleJob":
        return cls(
            task_id=task_id,
            round=round,
            outlier=statement.outlier,
            contribution=statement.contribution,
            slots=statement.slots,
            logrows=statement.rule_circuit.settings.logrows,
            inputs=tuple(tuple(vector) for vector in inputs),
            vka_digest=vka_digest,
        )

    @property
    def circuit(self) -> RuleCircuit:
        return RuleCircuit(rule=rules.load(self.outlier, self.contribution), slots=self.slots)

    @property
    def cids(self) -> tuple[bytes, ...]:
        """What a worker reads: nothing."""
        return ()

    @property
    def memory_bytes(self) -> int:
        return rule_memory_bytes(self.logrows)


def rule_memory_bytes(logrows: int) -> int:
    """What a rule's keys and proof take in their worker: half as much again as was measured at 2^13 to 2^16 rows."""
    return 640 * _MIB + (24 << 10 << logrows)


Job: TypeAlias = LinearJob | RuleJob
