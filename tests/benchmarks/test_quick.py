"""The guard of what does not depend on the machine: nothing may change, and gas only as proofs' zero bytes fall."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import quick
from benchmarks.models import MODELS
from benchmarks.quick import BASELINE, GAS_TOLERANCE, FiguresChanged, changes, check

FIGURES = {"model.softmax.parameters": 7850, "round.gas.settle": 1_400_000}


@given(st.integers(min_value=-3, max_value=3))
def test_counts_must_be_equal(by: int) -> None:
    found = FIGURES | {"model.softmax.parameters": 7850 + by}
    assert bool(changes(found, FIGURES)) == (by != 0)


@given(st.integers(min_value=-20_000, max_value=20_000))
def test_gas_may_differ_a_little(by: int) -> None:
    found = FIGURES | {"round.gas.settle": FIGURES["round.gas.settle"] + by}
    assert bool(changes(found, FIGURES)) == (abs(by) > GAS_TOLERANCE * FIGURES["round.gas.settle"])


def test_a_figure_more_or_less_is_a_change() -> None:
    assert changes(FIGURES | {"round.gas.publish": 1}, FIGURES)
    assert changes({}, FIGURES) == [
        "model.softmax.parameters: got None, the baseline has 7850",
        "round.gas.settle: got None, the baseline has 1400000",
    ]


def test_the_baseline_speaks_of_every_model_rule_and_size() -> None:
    baseline = json.loads(BASELINE.read_text())
    check(baseline)
    for name in MODELS:
        assert baseline[f"model.{name}.parameters"] == MODELS[name].dim
    assert {f"rule.{rule}+projection.{slots}_slots.rows" for rule in ("none", "mad") for slots in quick.SLOTS} <= {
        *baseline
    }
    with pytest.raises(FiguresChanged, match=r"round\.proof_bytes\.linear: got 1, the baseline has"):
        check(baseline | {"round.proof_bytes.linear": 1})
