"""Each rule against another implementation of its definition, from the vectors instead of their Gram matrix."""

from fractions import Fraction
from itertools import combinations
from math import factorial
from statistics import median_low

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits import rules
from circuits.rules import Anchor
from tests.circuits.strategies import Round, rounds

Vector = list[Fraction]


def dot(a: Vector, b: Vector) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def minus(a: Vector, b: Vector) -> Vector:
    return [x - y for x, y in zip(a, b, strict=True)]


def mean(vectors: list[Vector], dim: int) -> Vector:
    return [sum((v[k] for v in vectors), Fraction(0)) / len(vectors) for k in range(dim)]


def members(case: Round) -> dict[int, Vector]:
    return {i: [Fraction(x) for x in case.vectors[i]] for i, bit in enumerate(case.active) if bit}


def accepted(case: Round, outlier: str, **params: int) -> set[int]:
    accept, _ = rules.load(outlier, "equal").reference(case.gram, case.active, **params)
    return {i for i, bit in enumerate(accept) if bit}


def krum_from_the_paper(updates: np.ndarray, f: int) -> set[int]:
    """In float64, with distances between the vectors."""
    n = len(updates)
    scores = []
    for i in range(n):
        others = sorted(float(np.linalg.norm(updates[i] - updates[j]) ** 2) for j in range(n) if j != i)
        scores.append(sum(others[: n - f - 2]))
    return set(np.argsort(scores, kind="stable")[: n - f].tolist())


@given(st.integers(0, 2**32 - 1), st.integers(7, 12), st.integers(0, 2))
def test_multi_krum_agrees_with_the_paper(seed: int, n: int, f: int) -> None:
    updates = np.random.default_rng(seed).integers(-128, 128, (n, 40))
    accept, _ = rules.load("multi_krum", "equal").reference((updates @ updates.T).tolist(), [1] * n, f=f)
    assert {i for i, bit in enumerate(accept) if bit} == krum_from_the_paper(updates.astype(float), f)


@given(case=rounds(repeats=(1,)), bound=st.integers(0, 100_000))
def test_norm_bound(case: Round, bound: int) -> None:
    assert accepted(case, "norm_bound", B=bound) == {i for i, u in members(case).items() if dot(u, u) <= bound}


@given(case=rounds())
def test_none(case: Round) -> None:
    assert accepted(case, "none") == set(members(case))


@given(case=rounds(anchor=Anchor.REFERENCE))
def test_aligned(case: Round) -> None:
    reference = [Fraction(x) for x in case.vectors[0]]
    assert accepted(case, "aligned") == {i for i, u in members(case).items() if dot(u, reference) > 0}


@given(case=rounds(repeats=(1,)), c=st.integers(0, 15))
def test_mad(case: Round, c: int) -> None:
    who = members(case)
    typical = {
        i: median_low([dot(minus(u, v), minus(u, v)) for j, v in who.items() if j != i] or [Fraction(0)])
        for i, u in who.items()
    }
    median = median_low(typical.values())
    deviation = median_low([abs(s - median) for s in typical.values()])
    room = Fraction("1.4826") * c * deviation
    assert accepted(case, "mad", c=c) == {i for i, s in typical.items() if s - median <= room}


def three_sigma(who: dict[int, Vector], deviations: int) -> set[int]:
    dim, n = len(next(iter(who.values()))), len(who)
    distances = {i: sorted(dot(minus(u, v), minus(u, v)) for j, v in who.items() if j != i) for i, u in who.items()}
    krum = {i: sum(d[: n // 2]) for i, d in distances.items()}
    half = [who[i] for i in who if krum[i] <= median_low(krum.values())]
    centre = mean(half, dim)
    away = {i: dot(minus(u, centre), minus(u, centre)) for i, u in who.items()}
    average = sum(away.values(), Fraction(0)) / n
    variance = sum(((x - average) ** 2 for x in away.values()), Fraction(0)) / n
    return {i for i, x in away.items() if x <= average or (x - average) ** 2 <= deviations**2 * variance}


@given(case=rounds(repeats=(1,)), deviations=st.integers(0, 3))
def test_three_sigma(case: Round, deviations: int) -> None:
    assert accepted(case, "three_sigma", l=deviations) == three_sigma(members(case), deviations)


@given(
    case=rounds(anchor=Anchor.PREVIOUS_SUM, repeats=(1,)), bound=st.integers(-100, 100), deviations=st.integers(0, 2)
)
def test_cross_round(case: Round, bound: int, deviations: int) -> None:
    who, before = members(case), [Fraction(x) for x in case.vectors[0]]

    def goes_along(update: Vector) -> bool:
        if not dot(update, update) or not dot(before, before):
            return False
        along, wanted = dot(update, before), Fraction(bound, 100)
        squared = along**2 / (dot(update, update) * dot(before, before))
        if (along < 0) != (wanted < 0):
            return along >= 0
        return squared >= wanted**2 if along >= 0 else squared <= wanted**2

    expected = {i for i, u in who.items() if goes_along(u)} | three_sigma(who, deviations)
    assert accepted(case, "cross_round", bound_percent=bound, l=deviations) == expected


def test_the_first_round_has_nothing_to_cross_check() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.integers(-9, 10, (8, 6)).tolist()
    vectors[0], vectors[7] = [0] * 6, [100] * 6
    case = Round(vectors=vectors, repeat=1, active=[0] + [1] * 7)
    assert (
        accepted(case, "cross_round", bound_percent=-100, l=2) == accepted(case, "three_sigma", l=2) == set(range(1, 7))
    )


def test_a_deviation_that_no_set_reaches() -> None:
    # As the docstring of three_sigma says: of 10, the farthest possible one is 9 / sqrt(10) < 3 deviations away.
    for count, rejected in ((10, False), (11, True)):
        case = Round(vectors=[[0]] * (count - 1) + [[100]], repeat=1, active=[1] * count)
        assert (count - 1 not in accepted(case, "three_sigma", l=3)) is rejected


class TestContributions:
    """Against the games that they are values of."""

    def scores(self, case: Round, contribution: str) -> list[int]:
        return rules.load("none", contribution).reference(case.gram, case.active)[1]

    @pytest.mark.parametrize(("contribution", "anchored"), [("shapley", False), ("shapley_reference", True)])
    @settings(max_examples=40)
    @given(data=st.data())
    def test_shapley_by_enumeration(self, contribution: str, anchored: bool, data: st.DataObject) -> None:
        anchor = Anchor.REFERENCE if anchored else Anchor.NONE
        case = data.draw(rounds(5, anchor=anchor, repeats=(1,)))
        players, value = game(case, anchored)
        n = len(players)
        for i in players:
            others = [j for j in players if j != i]
            exact = Fraction(0)
            for size in range(n):
                weight = Fraction(factorial(size) * factorial(n - 1 - size), factorial(n))
                exact += sum(
                    (weight * (value({*team, i}) - value(set(team))) for team in combinations(others, size)),
                    Fraction(0),
                )
            assert self.scores(case, contribution)[i] == max(0, n * n * exact)

    @pytest.mark.parametrize(
        ("contribution", "anchored"), [("leave_one_out", False), ("leave_one_out_reference", True)]
    )
    @given(data=st.data())
    def test_leave_one_out(self, contribution: str, anchored: bool, data: st.DataObject) -> None:
        anchor = Anchor.REFERENCE if anchored else Anchor.NONE
        case = data.draw(rounds(6, anchor=anchor, repeats=(1,)))
        players, value = game(case, anchored)
        for i in players:
            lost = value(set(players)) - value(set(players) - {i})
            assert self.scores(case, contribution)[i] == max(0, len(players) ** 2 * lost)

    @given(case=rounds(repeats=(1,)))
    def test_projection_is_the_inner_product_with_the_sum(self, case: Round) -> None:
        who = members(case)
        total = [sum((u[k] for u in who.values()), Fraction(0)) for k in range(len(case.vectors[0]))]
        expected = [max(0, dot(who[i], total)) if i in who else 0 for i in range(len(case.active))]
        assert self.scores(case, "projection") == self.scores(case, "shapley") == expected

    def test_equal(self) -> None:
        case = Round(vectors=[[3]] * 4, repeat=1, active=[1, 0, 1, 1])
        assert self.scores(case, "equal") == [1, 0, 1, 1]


def game(case: Round, anchored: bool):  # type: ignore[no-untyped-def]
    """(players, v) with v(S) = |r|^2 - |r - s_S|^2, s_S the sum of S over n; r the reference, or the mean of all."""
    who = members(case)
    n, dim = len(who), len(case.vectors[0])
    r = [Fraction(x) for x in case.vectors[0]] if anchored else mean(list(who.values()), dim)

    def value(team: set[int]) -> Fraction:
        rest = list(r)
        for i in team:
            rest = [a - b / n for a, b in zip(rest, who[i], strict=True)]
        return dot(r, r) - dot(rest, rest)

    return list(who), value


@given(st.lists(st.integers(0, 2**61), min_size=7, max_size=7))
def test_references_are_exact_beyond_int64(norms: list[int]) -> None:
    # Orthogonal updates: D[i][j] = g_i + g_j, so Krum scores order as the norms do.
    gram = [[norms[i] if i == j else 0 for j in range(7)] for i in range(7)]
    accept, score = rules.load("multi_krum", "projection").reference(gram, [1] * 7, f=2)
    threshold = sorted(norms)[4]
    if len(set(norms)) == 7:
        assert accept == [int(g <= threshold) for g in norms]
    assert score == [g if a else 0 for g, a in zip(norms, accept, strict=True)]
    spread = rules.load("three_sigma", "leave_one_out")
    assert (
        spread.reference([[g * 2**40 for g in row] for row in gram], [1] * 7, l=1)[0]
        == spread.reference(gram, [1] * 7, l=1)[0]
    )
