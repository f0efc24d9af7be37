"""Every combination as the prover computes it, up to the largest values that its limits allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits import rules
from circuits.errors import ProverError
from circuits.linear.gram import upper_triangle
from circuits.prover import Prover
from circuits.rules import Anchor, Rule, RuleCircuit, largest_dim
from circuits.rules.order import SENTINEL
from tests.circuits.strategies import Round, least_active, parameters, rounds
from tests.circuits.unkeyed import satisfies, settings_of, witness

pytestmark = pytest.mark.slow

SLOTS = 6
COMBINATIONS = rules.combinations()
every_combination = pytest.mark.parametrize("rule", COMBINATIONS, ids=lambda rule: rule.name)
sizes = pytest.mark.parametrize("slots", [3, 4, 7, 8, 16, 17, 32])


def check(prover: Prover, rule: Rule, case: Round, params: dict[str, int]) -> None:
    circuit = RuleCircuit(rule=rule, slots=len(case.active))
    inputs = circuit.inputs(upper_triangle(case.gram), case.active, rule.parameter_list(params))
    accept, score = rule.reference(case.gram, case.active, **params)
    assert witness(prover, circuit, inputs) == accept + score


@every_combination
@settings(max_examples=25)
@given(data=st.data())
def test_witness_equals_reference(prover: Prover, rule: Rule, data: st.DataObject) -> None:
    widest = largest_dim(rule, SLOTS, 8) // 6  # vectors of up to 6 entries, each repeated
    case = data.draw(
        rounds(SLOTS, least=least_active(rule), anchor=rule.anchor, repeats=(1, 650, 100_000, widest // 3, widest))
    )
    norms = [case.gram[i][i] for i in range(SLOTS)]
    check(prover, rule, case, data.draw(parameters(rule, largest_norm=max(norms))))


@every_combination
@pytest.mark.parametrize("bits", [4, 8, 16])
def test_witness_at_the_limits(prover: Prover, rule: Rule, bits: int) -> None:
    """Every entry of every update at an end of its range, the largest model, parameters at both ends."""
    repeat, low, high = largest_dim(rule, SLOTS, bits), -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    first = int(rule.anchor is not Anchor.NONE)
    for signs in ([low] * SLOTS, [low, high] * (SLOTS // 2), [high] + [low] * (SLOTS - 1)):
        vectors = [[x] for x in signs]
        if rule.anchor is Anchor.PREVIOUS_SUM:
            vectors[0] = [sum(signs[1:])]
        case = Round(vectors=vectors, repeat=repeat, active=[0] * first + [1] * (SLOTS - first))
        for end in ("low", "high"):
            params = {p.name: getattr(p, end) for p in rule.params_schema}
            if "f" in params:
                params["f"] = int(end == "high")
            check(prover, rule, case, params)


@sizes
@pytest.mark.parametrize("outlier", list(rules.OUTLIER_RULES))
def test_sizes_fit_their_circuit(prover: Prover, outlier: str, slots: int) -> None:
    """Rows, input order, and one witness, at numbers of slots on both sides of each circuit's size."""
    contribution = "projection" if outlier == "cross_round" else "leave_one_out_reference"
    rule = rules.load(outlier, contribution)
    circuit = RuleCircuit(rule=rule, slots=slots)
    made = settings_of(prover, circuit)
    assert made["num_rows"] <= rule.rows(slots, circuit.settings.decomposition_legs) < 1 << circuit.settings.logrows
    assert [length for [length] in made["model_instance_shapes"]] == [*circuit.input_lengths, slots, slots]
    rng = np.random.default_rng(slots)
    vectors = rng.integers(-128, 128, (slots, 40))
    vectors[0] = vectors[: slots // 2].sum(axis=0) if rule.anchor is Anchor.PREVIOUS_SUM else vectors[0]
    params = {p.name: (p.low + p.high) // 2 for p in rule.params_schema}
    if outlier == "multi_krum":
        params["f"] = max(0, (slots - 4) // 2)
        if slots == 3:
            return  # the anchor leaves two updates, and multi-Krum needs three
    check(prover, rule, Round(vectors=vectors.tolist(), repeat=1, active=[0] + [1] * (slots - 1)), params)


@every_combination
def test_instances_are_inputs_then_outputs_and_no_product_is_free(prover: Prover, rule: Rule) -> None:
    circuit = RuleCircuit(rule=rule, slots=SLOTS)
    made = settings_of(prover, circuit)
    lengths = [length for [length] in made["model_instance_shapes"]]
    assert made["num_rows"] <= rule.rows(SLOTS, circuit.settings.decomposition_legs)
    assert lengths == [SLOTS * (SLOTS + 1) // 2, SLOTS, *([n] if (n := len(rule.params_schema)) else []), SLOTS, SLOTS]
    assert made["einsum_params"]["total_einsum_col_size"] == 0
    assert made["num_dynamic_lookups"] == 0


@pytest.mark.parametrize("outlier", list(rules.OUTLIER_RULES))
def test_every_constraint_holds(prover: Prover, outlier: str) -> None:
    rule = rules.load(outlier, "projection")
    rng = np.random.default_rng(8)
    vectors = rng.integers(-128, 128, (SLOTS, 5))
    matrix = (vectors @ vectors.T).tolist()
    active = [int(rule.anchor is Anchor.NONE)] + [1] * (SLOTS - 1)
    params = [min(p.high, 1) for p in rule.params_schema]
    circuit = RuleCircuit(rule=rule, slots=SLOTS)
    assert satisfies(prover, circuit, circuit.inputs(upper_triangle(matrix), active, params))


@pytest.mark.parametrize("outlier", ["norm_bound", "multi_krum", "mad", "three_sigma", "aligned", "cross_round"])
def test_beyond_the_room_there_is_no_witness(prover: Prover, outlier: str) -> None:
    rule = rules.load(outlier, "equal")
    circuit = RuleCircuit(rule=rule, slots=SLOTS)
    digits = circuit.settings.decomposition_base**circuit.settings.decomposition_legs
    huge = SENTINEL * digits  # as a squared norm; its product with an anchor is as large
    matrix = [[huge if i == j else huge // 2 for j in range(SLOTS)] for i in range(SLOTS)]
    matrix[2][2] = 7
    active = [int(rule.anchor is Anchor.NONE)] + [1] * (SLOTS - 1)
    params = [min(p.high, 1) for p in rule.params_schema]
    with pytest.raises(ProverError):
        witness(prover, circuit, circuit.inputs(upper_triangle(matrix), active, params))
