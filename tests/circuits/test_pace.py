"""The learning rate's rule and the target, on integers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.errors import FieldError
from circuits.rules.pace import (
    MAX_HALVINGS,
    MAX_RATE,
    RATE_UNITS,
    Pace,
    from_units,
    halve_on_plateau,
    is_met,
    learning_rate,
    norm,
    to_units,
)

ROUNDS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 32)), max_size=40)


@given(seed=st.integers(0, 1000), accept=st.lists(st.integers(0, 1), max_size=6))
def test_norm_is_that_of_the_accepted_sum(seed: int, accept: list[int]) -> None:
    updates = np.random.default_rng(seed).integers(-8, 8, (6, 5))
    total = sum((u for u, taken in zip(updates, accept, strict=False) if taken), np.zeros(5, dtype=np.int64))
    assert norm((updates @ updates.T).tolist(), accept) == (int(total @ total), sum(accept))


def test_norm_has_one_entry_a_slot() -> None:
    assert norm([[-5]], [1]) == (0, 1)
    with pytest.raises(FieldError, match="accept"):
        norm([[1]], [1, 1])


@given(rounds=ROUNDS, patience=st.integers(1, 4))
def test_halving_as_told_in_fractions(rounds: list[tuple[int, int]], patience: int) -> None:
    """The same rule, told with fractions and a history instead of cross products and a counter."""
    pace, best, waited, halvings = Pace(), math.inf, 0, 0
    for total, count in rounds:
        value = Fraction(total, count * count) if count else math.inf
        if value < best:
            best, waited = value, 0
        else:
            waited += 1
        if waited == patience:
            waited, halvings = 0, halvings + 1
        pace = halve_on_plateau(pace, patience=patience, norm=total, count=count)
        assert (pace.stale, pace.halvings) == (waited, min(halvings, MAX_HALVINGS))
        if pace.best_count:
            assert Fraction(pace.best_norm, pace.best_count**2) == best


@given(rounds=ROUNDS)
def test_without_patience_it_is_constant(rounds: list[tuple[int, int]]) -> None:
    pace = Pace()
    for total, count in rounds:
        pace = halve_on_plateau(pace, patience=0, norm=total, count=count)
    assert pace == Pace()


def test_halvings_end_where_every_rate_is_0() -> None:
    pace = Pace(best_norm=0, best_count=1)
    for _ in range(MAX_HALVINGS + 3):
        pace = halve_on_plateau(pace, patience=1, norm=1, count=1)
    assert pace.halvings == MAX_HALVINGS
    assert learning_rate(MAX_RATE, MAX_HALVINGS) == 0
    assert learning_rate(MAX_RATE, MAX_HALVINGS - 1) == 1
    assert learning_rate(7, 1) == 3


def test_a_target_is_met_from_it_downwards() -> None:
    assert is_met(5, norm=20, count=2)
    assert not is_met(5, norm=21, count=2)
    assert not is_met(0, norm=0, count=2)
    assert not is_met(5, norm=0, count=0)


@given(rate=st.floats(2**-32, 2**32, exclude_max=True))
def test_rates_round_to_the_nearest_unit(rate: float) -> None:
    units = to_units(rate)
    assert 1 <= units <= MAX_RATE
    assert abs(Fraction(units, RATE_UNITS) - Fraction(rate)) <= Fraction(1, 2 * RATE_UNITS)


def test_rates_come_back() -> None:
    for rate in (0.0, 0.5, 2**-32, 1e9):
        assert from_units(to_units(rate)) == rate


@pytest.mark.parametrize("rate", [-0.1, 2.0**32, 1e-12, math.nan, math.inf])
def test_rates_that_do_not_fit(rate: float) -> None:
    with pytest.raises(FieldError) as caught:
        to_units(rate)
    assert caught.value.field == "learning_rate"
