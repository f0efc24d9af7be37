"""GTG-Shapley against the exact values, and its truncations."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from clients.validation.game import Coalition, Value
from clients.validation.gtg import GtgShapley
from clients.validation.shapley import exact_shapley

EVERYONE = frozenset(range(6))


def saturating(seed: int, players: int = 6) -> Value:
    """Like accuracy: grows with work done, less and less, from 0.1 towards 0.9."""
    work = np.random.default_rng(seed).uniform(0.1, 1, players)
    return lambda coalition: float(0.9 - 0.8 * np.exp(-sum(work[i] for i in coalition)))


@pytest.mark.parametrize("seed", range(8))
def test_close_to_the_exact_values_of_small_games(seed: int) -> None:
    exact, found = (np.array(x) for x in (exact_shapley(6, saturating(seed)), estimate(saturating(seed))))
    assert np.abs(found - exact).mean() < 0.1 * np.abs(exact).mean()
    assert spearmanr(exact, found).statistic > 0.8


def estimate(game: Value, **constants: float) -> list[float]:
    return GtgShapley(**constants).round(6, game, seed=1)  # type: ignore[arg-type]


def test_efficiency_but_for_truncation() -> None:
    game = saturating(3)
    gained = game(EVERYONE) - game(frozenset())
    assert sum(estimate(game, within_round=0)) == pytest.approx(gained, abs=1e-12)
    assert sum(estimate(game)) == pytest.approx(gained, abs=GtgShapley().within_round)


def test_additive_games_are_exact_from_any_sample() -> None:
    worth = [0.5, 0.25, 0.125, 0.0, 0.0625, 1.0]
    assert estimate(lambda c: sum(worth[i] for i in c), within_round=0) == pytest.approx(worth)


def test_a_null_player_gets_nothing() -> None:
    game = saturating(4)
    assert estimate(lambda c: game(c - {2}))[2] == 0


def test_the_same_for_the_same_seed() -> None:
    assert estimate(saturating(5)) == estimate(saturating(5))
    other = GtgShapley().round(6, saturating(5), seed=2)
    assert other != estimate(saturating(5))


@pytest.mark.parametrize(("gain", "nothing"), [(0.01, True), (-0.01, True), (0.0101, False), (-0.0101, False)])
def test_a_round_that_moves_little_gives_nothing(gain: float, nothing: bool) -> None:
    asked: list[Coalition] = []

    def game(coalition: Coalition) -> float:
        asked.append(coalition)
        return gain * len(coalition) / 6

    assert (estimate(game) == [0.0] * 6) == nothing
    assert (len(asked) == 2) == nothing


def test_no_more_is_asked_once_all_is_reached() -> None:
    asked: list[Coalition] = []

    def game(coalition: Coalition) -> float:
        asked.append(coalition)
        return min(len(coalition), 2) / 2

    estimate(game)
    assert max(len(c) for c in asked if c != EVERYONE) == 2


def test_permutations_begin_with_each_player_in_turn() -> None:
    asked: list[Coalition] = []

    def game(coalition: Coalition) -> float:
        asked.append(coalition)
        return float(len(coalition))

    estimate(game, fewest_permutations=6)
    assert {frozenset({i}) for i in range(6)} <= set(asked)


def permutations_of(game: Value, **constants: float) -> int:
    """How many a game takes: a first player's marginal is looked at in each."""
    counted = 0

    class Counting(GtgShapley):
        def _marginals(self, order, value, everyone):  # type: ignore[no-untyped-def]
            nonlocal counted
            counted += 1
            return super()._marginals(order, value, everyone)

    Counting(**constants).round(6, game, seed=1)  # type: ignore[arg-type]
    return counted


def test_at_least_thirty_permutations_and_then_until_settled() -> None:
    assert permutations_of(lambda c: float(len(c))) == 30

    def wild(coalition: Coalition) -> float:
        return float(len(coalition)) + 40.0 * (hash(tuple(sorted(coalition))) % 7)

    taken = permutations_of(wild)
    assert taken > 30
    assert taken > permutations_of(wild, tolerance=1.0)
    assert permutations_of(wild, tolerance=0, most_permutations=77) == 77
