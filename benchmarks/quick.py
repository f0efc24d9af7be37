"""Figures that do not depend on the machine, against a committed baseline: what `merit bench --quick` guards.

Sizes and counts must be equal. Gas depends on how many bytes of a proof happen to be zero, so it may differ a little;
gas of fixed proofs is guarded exactly by the contracts' own snapshots.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import merit_native

from benchmarks import models
from benchmarks.market_round import AGGREGATOR_PARTS, measure
from benchmarks.models import MODELS
from benchmarks.records import Record
from circuits import rules
from circuits.commitment import MIN_LOGROWS, smallest_logrows
from circuits.linear.update_argument import make_key
from circuits.prover import Prover
from circuits.statement import DEMO_STATEMENT
from clients.errors import ClientError

BASELINE = Path(__file__).parent / "baseline.json"
GAS_TOLERANCE = 0.005
SLOTS, BITS = (4, 8, 10, 16, 32), (4, 8)
_ROUND_MODEL, _ROUND_SLOTS, _ROUND_BITS = "digits_mlp", 8, 8

Figures = dict[str, int]


class FiguresChanged(ClientError):
    """A figure is not the baseline's.

    Attributes:
        changes: one line a figure.
    """

    def __init__(self, changes: list[str]) -> None:
        super().__init__("\n".join((*changes, "`merit bench --quick --accept` makes these the baseline")))
        self.changes = changes


def figures(prover: Prover, tell: Callable[[str], None]) -> tuple[Figures, Record]:
    """Every figure by name, and the one real round that some of them are from."""
    found = _models() | _proofs(prover) | _rules() | _constraints(prover)
    tell(f"one round of {_ROUND_MODEL}, {_ROUND_SLOTS} slots, {_ROUND_BITS} bits")
    round = measure(prover, models.load(_ROUND_MODEL), slots=_ROUND_SLOTS, bits=_ROUND_BITS, runs=1)
    for kind in ("gas", "calldata_bytes", "proof_bytes"):
        found |= {f"round.{kind}.{name}": int(value) for name, value in round[kind].items()}
    for name in ("update_key", "rule_vka"):
        found[f"round.key_bytes.{name}"] = round["key_bytes"][name]
    assert set(AGGREGATOR_PARTS) <= set(round["seconds"])
    return found, round


def _models() -> Figures:
    """Parameters and rows of each model."""
    found: Figures = {}
    for name in MODELS:
        dim = models.load(name).dim
        found |= {f"model.{name}.parameters": dim, f"model.{name}.logrows": smallest_logrows(dim)}
    return found


def _proofs(prover: Prover) -> Figures:
    """Bytes of the update argument's proofs: they depend on columns and bits alone."""
    srs = prover.ensure_test_srs(MIN_LOGROWS, provable=True)
    return {
        f"update_argument.{slots}_slots.{bits}_bits.proof_bytes": merit_native.proof_bytes(
            make_key(srs, dim=1, bits=bits).data, slots
        )
        for slots in SLOTS
        for bits in BITS
    }


def _rules() -> Figures:
    """Rows that each outlier rule is given, with the contribution rule that it is measured with."""
    found = {}
    for outlier in rules.OUTLIER_RULES:
        rule = rules.load(outlier, "projection")
        for slots in SLOTS:
            settings = rule.settings(slots)
            found[f"rule.{rule.name}.{slots}_slots.rows"] = rule.rows(slots, settings.decomposition_legs)
            found[f"rule.{rule.name}.{slots}_slots.logrows"] = settings.logrows
    return found


def _constraints(prover: Prover) -> Figures:
    """What the demo's rule takes of a compiled circuit."""
    circuit = DEMO_STATEMENT.rule_circuit
    keys = prover.keys(circuit)
    settings = json.loads((keys.directory / "settings.json").read_text())
    names = ("num_rows", "total_assignments", "total_const_size")
    return {f"circuit.{circuit.name}.{name}": int(settings[name]) for name in names}


def changes(found: Mapping[str, int], baseline: Mapping[str, int]) -> list[str]:
    """One line for each figure that is not the baseline's."""
    lines = []
    for name in sorted(found.keys() | baseline.keys()):
        got, expected = found.get(name), baseline.get(name)
        if got is None or expected is None:
            lines.append(f"{name}: got {got}, the baseline has {expected}")
        elif abs(got - expected) > (GAS_TOLERANCE * expected if ".gas." in name else 0):
            lines.append(f"{name}: got {got:,}, the baseline has {expected:,}")
    return lines


def check(found: Mapping[str, int]) -> None:
    """FiguresChanged unless every figure is the baseline's."""
    changed = changes(found, json.loads(BASELINE.read_text()))
    if changed:
        raise FiguresChanged(changed)


def accept(found: Mapping[str, int]) -> None:
    """Makes these figures the baseline."""
    BASELINE.write_text(json.dumps(dict(sorted(found.items())), indent=2) + "\n")
