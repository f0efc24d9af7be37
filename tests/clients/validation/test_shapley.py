"""What makes a Shapley value one, on any game."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.errors import FieldError
from clients.validation.game import Coalition, Value, remembered
from clients.validation.shapley import exact_shapley


def any_game(players: int, seed: int) -> Value:
    """A random value for each coalition, that of nobody included."""
    values = np.random.default_rng(seed).normal(size=1 << players)
    return lambda coalition: float(values[sum(1 << i for i in coalition)])


sizes, seeds = st.integers(1, 6), st.integers(0, 10_000)


@given(sizes, seeds)
def test_efficiency(players: int, seed: int) -> None:
    game = any_game(players, seed)
    gained = game(frozenset(range(players))) - game(frozenset())
    assert sum(exact_shapley(players, game)) == pytest.approx(gained, abs=1e-9)


@given(st.integers(2, 6), seeds, st.data())
def test_symmetry(players: int, seed: int, data: st.DataObject) -> None:
    a, b = data.draw(st.permutations(range(players)))[:2]
    game = any_game(players, seed)
    swap = {a: b, b: a}

    def symmetric(coalition: Coalition) -> float:
        return game(coalition) + game(frozenset(swap.get(i, i) for i in coalition))

    shares = exact_shapley(players, symmetric)
    assert shares[a] == pytest.approx(shares[b], abs=1e-9)


@given(st.integers(2, 6), seeds, st.data())
def test_null_player(players: int, seed: int, data: st.DataObject) -> None:
    idle = data.draw(st.integers(0, players - 1))
    game = any_game(players, seed)
    assert exact_shapley(players, lambda c: game(c - {idle}))[idle] == 0


@given(st.integers(1, 5), seeds)
def test_mean_marginal_over_all_orders(players: int, seed: int) -> None:
    game, expected = any_game(players, seed), np.zeros(players)
    for order in permutations(range(players)):
        for at, player in enumerate(order):
            expected[player] += game(frozenset(order[: at + 1])) - game(frozenset(order[:at]))
    assert exact_shapley(players, game) == pytest.approx(expected / math.factorial(players), abs=1e-9)


def test_gloves() -> None:
    """A left glove and two right ones: 2/3, 1/6, 1/6."""
    shares = exact_shapley(3, lambda c: float(0 in c and len(c) > 1))
    assert shares == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_every_coalition_is_asked_once() -> None:
    asked: list[Coalition] = []

    def value(coalition: Coalition) -> float:
        asked.append(coalition)
        return float(len(coalition))

    exact_shapley(5, value)
    assert len(asked) == len(set(asked)) == 2**5
    twice = remembered(value)
    assert twice(frozenset({1})) == twice(frozenset({1})) == 1
    assert len(asked) == 2**5 + 1


@pytest.mark.parametrize("players", [0, -1, 17])
def test_too_many_players_are_refused(players: int) -> None:
    with pytest.raises(FieldError, match="players"):
        exact_shapley(players, lambda c: 0.0)
