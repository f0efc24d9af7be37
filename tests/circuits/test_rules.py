from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits import rules
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.linear.gram import upper_triangle
from circuits.rules import RuleCircuit
from tests.circuits.strategies import SLOTS, rounds

RULE = rules.load("multi_krum", "projection")
CIRCUIT = RuleCircuit(rule=RULE, slots=SLOTS)


def multi_krum_from_the_paper(updates: np.ndarray, f: int) -> set[int]:
    """Independent of the code under test: float64 distances between the vectors themselves."""
    n = len(updates)
    scores = []
    for i in range(n):
        others = sorted(float(np.linalg.norm(updates[i] - updates[j]) ** 2) for j in range(n) if j != i)
        scores.append(sum(others[: n - f - 2]))
    return set(np.argsort(scores, kind="stable")[: n - f].tolist())


@given(st.integers(0, 2**32 - 1), st.integers(7, 12), st.integers(0, 2))
def test_multi_krum_agrees_with_the_paper(seed: int, n: int, f: int) -> None:
    updates = np.random.default_rng(seed).integers(-128, 128, (n, 40))
    accept, _ = RULE.reference((updates @ updates.T).tolist(), [1] * n, f=f)
    assert {i for i, bit in enumerate(accept) if bit} == multi_krum_from_the_paper(updates.astype(float), f)


@given(rounds(), st.integers(0, 2))
def test_reference_properties(case: tuple[list[list[int]], list[int]], f: int) -> None:
    gram, active = case
    accept, score = RULE.reference(gram, active, f=f)
    assert sum(accept) >= sum(active) - f  # ties may add
    for i in range(SLOTS):
        assert accept[i] in (0, 1)
        assert accept[i] <= active[i]
        along = sum(gram[i][j] for j in range(SLOTS) if accept[j])
        assert score[i] == accept[i] * max(0, along)


@given(rounds(), st.permutations(range(SLOTS)))
def test_the_order_of_slots_does_not_matter(case: tuple[list[list[int]], list[int]], order: list[int]) -> None:
    gram, active = case
    accept, score = RULE.reference(gram, active, f=2)
    moved = [[gram[i][j] for j in order] for i in order]
    assert RULE.reference(moved, [active[i] for i in order], f=2) == (
        [accept[i] for i in order],
        [score[i] for i in order],
    )


@given(st.lists(st.integers(0, 2**61), min_size=7, max_size=7))
def test_reference_is_exact_beyond_int64(norms: list[int]) -> None:
    # Orthogonal updates: D[i][j] = g_i + g_j, so the scores order as the norms do.
    gram = [[norms[i] if i == j else 0 for j in range(7)] for i in range(7)]
    accept, score = RULE.reference(gram, [1] * 7, f=2)
    threshold = sorted(norms)[4]
    if len(set(norms)) == 7:
        assert accept == [int(g <= threshold) for g in norms]
    assert score == [g if a else 0 for g, a in zip(norms, accept, strict=True)]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("rule") / "rule.onnx"
    CIRCUIT.export_onnx(path)
    return onnxruntime.InferenceSession(path)


@settings(max_examples=150)
@given(case=rounds(), f=st.integers(0, 2))
def test_graph_equals_reference(
    session: onnxruntime.InferenceSession, case: tuple[list[list[int]], list[int]], f: int
) -> None:
    gram, active = case
    names = [i.name for i in session.get_inputs()]
    feed = [upper_triangle(gram), active, [f]]
    accept, score = session.run(None, {n: np.array(v, dtype=np.float64) for n, v in zip(names, feed, strict=True)})
    expected = RULE.reference(gram, active, f=f)
    assert ([int(x) for x in accept], [int(x) for x in score]) == expected


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
def test_what_the_rule_refuses(active: list[int], params: dict[str, int], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        RULE.reference([[0] * 8] * 8, active, **params)
    assert caught.value.field == field


def test_unknown_rules() -> None:
    with pytest.raises(FieldError, match="multi_krum"):
        rules.load("krum", "projection")
    with pytest.raises(FieldError, match="projection"):
        rules.load("multi_krum", "fame")


def test_limits_refuse_what_could_overflow() -> None:
    eight, sixteen = FixedPoint(bits=8, fraction_bits=7), FixedPoint(bits=16, fraction_bits=7)
    RULE.check_limits(slots=32, dim=1 << 21, fmt=eight)
    for slots, dim, fmt in ((32, 1 << 26, eight), (32, 1 << 15, sixteen), (2, 650, eight), (33, 650, eight)):
        with pytest.raises(FieldError):
            RULE.check_limits(slots=slots, dim=dim, fmt=fmt)


def test_export_is_reproducible(tmp_path: Path) -> None:
    CIRCUIT.export_onnx(tmp_path / "a.onnx")
    CIRCUIT.export_onnx(tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
