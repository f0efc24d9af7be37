import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits import model
from circuits.commitment import Column, commit, draw_salts
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint, dequantize
from circuits.srs import Srs

FMT = FixedPoint(bits=8, fraction_bits=7)
updates = st.lists(st.lists(st.integers(-128, 127), min_size=4, max_size=4), min_size=0, max_size=8)


def columns(rows: list[list[int]]) -> list[Column]:
    return [Column(values=np.array(r, dtype=np.int64), salts=draw_salts(FMT)) for r in rows]


@given(updates)
def test_the_mean_of_any_accepted_set_is_exact(rows: list[list[int]]) -> None:
    start = model.genesis(np.array([0.5, -1.0, 0.0, 0.25]), FMT, 8)
    after = model.fold(start, columns(rows), 8)
    for row in range(4):
        moved = int(after.values[row] - start.values[row])
        assert moved * max(1, len(rows)) == model.denominator(8) * sum(r[row] for r in rows)


@settings(max_examples=5)
@given(updates)
def test_the_commitment_moves_with_the_model(srs: Srs, rows: list[list[int]]) -> None:
    start, accepted = model.genesis(np.array([0.5, -1.0, 0.0, 0.25]), FMT, 8), columns(rows)
    moved = model.fold_commitment(commit(start, srs), [commit(c, srs) for c in accepted], 8)
    assert moved == commit(model.fold(start, accepted, 8), srs)


def test_denominator_divides_by_every_count() -> None:
    assert model.denominator(8) == 840
    assert all(model.denominator(32) % n == 0 for n in range(1, 33))


def test_genesis_is_the_float_model_to_the_last_bit_it_keeps() -> None:
    parameters = np.array([0.1, -0.3, 2.0])
    start = model.genesis(parameters, FMT, 8)
    back = dequantize(start.values, FMT, denominator=840)
    assert np.abs(back - parameters).max() <= 0.5 / (840 * 128)
    assert start.tail == 1
    assert not start.salts.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_genesis_refuses_what_has_no_room(bad: float) -> None:
    with pytest.raises(FieldError):
        model.genesis(np.array([0.0, bad]), FMT, 8)


def test_rounds_must_fit_int64() -> None:
    model.check_room(slots=8, rounds=1000, fmt=FMT)
    model.check_room(slots=32, rounds=200, fmt=FMT)
    with pytest.raises(FieldError, match="rounds"):
        model.check_room(slots=32, rounds=2, fmt=FixedPoint(bits=16, fraction_bits=8))


def test_more_accepted_than_slots() -> None:
    with pytest.raises(FieldError):
        model.fold(model.genesis(np.zeros(4), FMT, 3), columns([[0] * 4] * 4), 3)
