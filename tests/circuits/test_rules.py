"""Every combination: order of slots, graph against reference, limits, what is refused."""

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits import rules
from circuits.errors import FieldError
from circuits.linear.gram import upper_triangle
from circuits.rules import Anchor, Rule, RuleCircuit, largest_dim
from tests.circuits.strategies import Round, least_active, parameters, rounds

COMBINATIONS = rules.combinations()
every_combination = pytest.mark.parametrize("rule", COMBINATIONS, ids=lambda rule: rule.name)
SLOTS = 6

cases = st.data()


def draw_case(data: st.DataObject, rule: Rule, **kinds: object) -> tuple[Round, dict[str, int]]:
    case = data.draw(rounds(SLOTS, least=least_active(rule), anchor=rule.anchor, **kinds))  # type: ignore[arg-type]
    largest = max(case.gram[i][i] for i in range(SLOTS))
    return case, data.draw(parameters(rule, largest_norm=largest))


def test_every_combination_is_there() -> None:
    names = {rule.name for rule in COMBINATIONS}
    assert len(rules.OUTLIER_RULES) == 7
    assert len(rules.CONTRIBUTION_RULES) == 6
    assert len(names) == 7 * 6 - 2
    assert not names & {"cross_round+shapley_reference", "cross_round+leave_one_out_reference"}


@every_combination
@settings(max_examples=15)
@given(data=cases)
def test_every_rule_pays_accepted_slots_alone_and_in_any_order(rule: Rule, data: st.DataObject) -> None:
    case, params = draw_case(data, rule)
    first = int(rule.anchor is not Anchor.NONE)
    order = list(range(first)) + data.draw(st.permutations(range(first, SLOTS)))
    accept, score = rule.reference(case.gram, case.active, **params)
    assert set(accept) <= {0, 1}
    assert all(a <= b for a, b in zip(accept, case.active, strict=True))
    assert all(s >= 0 and (a or s == 0) for s, a in zip(score, accept, strict=True))
    moved = [[case.gram[i][j] for j in order] for i in order]
    expected = [accept[i] for i in order], [score[i] for i in order]
    assert rule.reference(moved, [case.active[i] for i in order], **params) == expected


@every_combination
@settings(max_examples=25)
@given(data=cases)
def test_graph_equals_reference(rule: Rule, data: st.DataObject) -> None:
    # Values whose squares stay below 2^53, where float64 is exact; the prover's own tests take the largest.
    case, params = draw_case(data, rule, repeats=(1, 7), entries=(-8, 7))
    session, circuit = graphs(rule), RuleCircuit(rule=rule, slots=SLOTS)
    names = [node.name for node in session.get_inputs()]
    vectors = circuit.inputs(upper_triangle(case.gram), case.active, rule.parameter_list(params))
    feed = {name: np.array(vector, dtype=np.float64) for name, vector in zip(names, vectors, strict=True)}
    accept, score = session.run(None, feed)
    assert ([int(x) for x in accept], [int(x) for x in score]) == rule.reference(case.gram, case.active, **params)


def test_scalars_of_a_graph_are_not_rounded() -> None:
    """n sum(x^2) and sum(x)^2 are equal here, and above 2^24: in float32 they would differ."""
    rule = rules.load("three_sigma", "leave_one_out")
    values = [-8] * (SLOTS // 2) + [7] * (SLOTS - SLOTS // 2)
    gram = [[7 * a * b for b in values] for a in values]
    vectors = RuleCircuit(rule=rule, slots=SLOTS).inputs(upper_triangle(gram), [1] * SLOTS, [1])
    session = graphs(rule)
    names = [node.name for node in session.get_inputs()]
    accept, _ = session.run(None, {n: np.array(v, dtype=np.float64) for n, v in zip(names, vectors, strict=True)})
    assert list(accept) == rule.reference(gram, [1] * SLOTS, l=1)[0] == [1] * SLOTS


_SESSIONS: dict[str, onnxruntime.InferenceSession] = {}


def graphs(rule: Rule) -> onnxruntime.InferenceSession:
    """The rule's graph in another implementation of ONNX than the prover's."""
    if rule.name not in _SESSIONS:
        with tempfile.TemporaryDirectory() as directory:
            rule.export_onnx(Path(directory) / "rule.onnx", SLOTS)
            _SESSIONS[rule.name] = onnxruntime.InferenceSession(Path(directory) / "rule.onnx")
    return _SESSIONS[rule.name]


@every_combination
def test_arrays_are_taken_like_lists(rule: Rule) -> None:
    rows = np.random.default_rng(3).integers(-128, 128, (SLOTS, 9))
    active = [int(rule.anchor is Anchor.NONE)] + [1] * (SLOTS - 1)
    params = {p.name: min(p.high, 1) for p in rule.params_schema}
    matrix = rows @ rows.T
    assert rule.reference(matrix, np.array(active), **params) == rule.reference(matrix.tolist(), active, **params)


class TestRefusals:
    @pytest.mark.parametrize(
        ("active", "params", "field"),
        [
            ([1] * 6 + [0] * 2, {"f": 2}, "rule_params[f]"),
            ([1] * 8, {"f": 3}, "rule_params[f]"),
            ([1] * 8, {"f": -1}, "rule_params[f]"),
            ([1] * 8, {}, "rule_params[f]"),
            ([1] * 8, {"f": 2, "g": 1}, "rule_params[g]"),
            ([2] + [1] * 7, {"f": 2}, "active"),
            ([1] * 7, {"f": 2}, "gram"),
        ],
    )
    def test_shapes_and_parameters(self, active: list[int], params: dict[str, int], field: str) -> None:
        with pytest.raises(FieldError) as caught:
            rules.load("multi_krum", "projection").reference([[0] * 8] * 8, active, **params)
        assert caught.value.field == field

    @every_combination
    def test_parameters_outside_their_range(self, rule: Rule) -> None:
        good = {p.name: p.low for p in rule.params_schema}
        assert rule.parameter_list(good) == list(good.values())
        for parameter in rule.params_schema:
            for value in (parameter.low - 1, parameter.high + 1):
                with pytest.raises(FieldError, match=parameter.name):
                    rule.parameter_list(good | {parameter.name: value})

    def test_unknown_names(self) -> None:
        with pytest.raises(FieldError, match="multi_krum"):
            rules.load("krum", "projection")
        with pytest.raises(FieldError, match="projection"):
            rules.load("multi_krum", "fame")

    def test_two_anchors_do_not_fit_one_slot(self) -> None:
        for contribution in ("shapley_reference", "leave_one_out_reference"):
            with pytest.raises(FieldError, match=r"previous_sum|reference") as caught:
                rules.load("cross_round", contribution)
            assert caught.value.field == "contribution"
        assert rules.load("aligned", "shapley_reference").anchor is Anchor.REFERENCE
        assert rules.load("none", "leave_one_out_reference").anchor is Anchor.REFERENCE

    def test_an_anchor_is_not_active(self) -> None:
        rule = rules.load("aligned", "equal")
        gram = [[1] * 4] * 4
        assert rule.reference(gram, [0, 1, 1, 1])[0] == [0, 1, 1, 1]
        with pytest.raises(FieldError, match="reference"):
            rule.reference(gram, [1, 1, 1, 1])

    def test_export_checks_parameters_and_keeps_none(self, tmp_path: Path) -> None:
        rule = rules.load("mad", "equal")
        rule.export_onnx(tmp_path / "a.onnx", 4)
        rule.export_onnx(tmp_path / "b.onnx", 4, c=3)
        assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
        with pytest.raises(FieldError, match="rule_params"):
            rule.export_onnx(tmp_path / "c.onnx", 4, f=3)


class TestLimits:
    def test_what_could_overflow_is_refused(self) -> None:
        rule = rules.load("multi_krum", "projection")
        rule.limits(slots=32, dim=1 << 21, bits=8)
        for slots, dim, bits in ((32, 1 << 38, 8), (32, 1 << 24, 16), (2, 650, 8), (33, 650, 8)):
            with pytest.raises(FieldError):
                rule.limits(slots, dim, bits)

    @every_combination
    @pytest.mark.parametrize("slots", [3, 8, 32])
    def test_large_models_fit(self, rule: Rule, slots: int) -> None:
        limits = rule.limits(slots=slots, dim=1 << 21, bits=8)
        digits = limits.settings.decomposition_base**limits.settings.decomposition_legs
        assert limits.largest_compared + 1 < digits < 1 << 127
        assert limits.largest_score < 1 << 63
        assert limits.settings.decomposition_base < 1 << limits.settings.logrows

    def test_an_earlier_sum_has_more_bits(self) -> None:
        rule = rules.load("cross_round", "equal")
        bounds = rules.base.Bounds.of(rule.anchor, slots=32, dim=10, bits=8)
        assert bounds.anchor == 31 * 10 * 128 * 128
        assert bounds.anchor_norm == 10 * (31 * 128) ** 2 < 10 << 2 * (8 - 1 + 5)

    @pytest.mark.parametrize(
        ("name", "what"),
        [
            ("none+equal", "Gram entries"),
            ("cross_round+equal", "compared values"),
            ("multi_krum+equal", "sorted values"),
            ("three_sigma+equal", "compared values"),
            ("none+leave_one_out_reference", "scores"),
        ],
    )
    def test_what_binds_is_named(self, name: str, what: str) -> None:
        rule = rules.load(*name.split("+"))
        largest = largest_dim(rule, 32, 8)
        rule.limits(slots=32, dim=largest, bits=8)
        with pytest.raises(FieldError, match=what) as caught:
            rule.limits(slots=32, dim=largest + 1, bits=8)
        assert caught.value.field == "dim"


def test_export_is_reproducible(tmp_path: Path) -> None:
    for name in ("a", "b"):
        rules.load("three_sigma", "projection").export_onnx(tmp_path / name, 8)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
