import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.bn254 import FIELD_MODULUS, G1Point, scale, sum_points
from circuits.commitment import (
    SALT_ROWS,
    Column,
    check_opening,
    commit,
    draw_for_round,
    draw_salts,
    empty_column,
    fits_round,
)
from circuits.errors import CommitmentMismatch, FieldError
from circuits.fixedpoint import FixedPoint
from circuits.linear import update_argument
from circuits.srs import Srs

FMT = FixedPoint(bits=8, fraction_bits=7)


def column(values: list[int], fmt: FixedPoint = FMT) -> Column:
    return Column(values=np.array(values, dtype=np.int64), salts=draw_salts(fmt))


@settings(max_examples=5)
@given(
    st.lists(st.integers(-128, 127), min_size=3, max_size=3), st.lists(st.integers(-128, 127), min_size=3, max_size=3)
)
def test_commitments_add_like_columns(srs: Srs, left: list[int], right: list[int]) -> None:
    a, b = column(left), column(right)
    both = Column(values=a.values + b.values, salts=a.salts + b.salts, tail=2)
    assert sum_points([commit(a, srs), commit(b, srs)]) == commit(both, srs)


def test_every_part_of_a_column_is_bound(srs: Srs) -> None:
    base = column([1, 2, 3])
    point = commit(base, srs)
    check_opening(base, point, srs)
    salts = base.salts.copy()
    salts[-1] ^= 1
    others = [
        Column(values=np.array([1, 2, 4], dtype=np.int64), salts=base.salts),
        Column(values=np.array([2, 1, 3], dtype=np.int64), salts=base.salts),
        Column(values=np.array([1, 2], dtype=np.int64), salts=base.salts),
        Column(values=base.values, salts=salts),
        Column(values=base.values, salts=base.salts, tail=2),
    ]
    for other in others:
        with pytest.raises(CommitmentMismatch):
            check_opening(other, point, srs)


def test_salts_hide_equal_updates(srs: Srs) -> None:
    assert commit(column([0, 0]), srs) != commit(column([0, 0]), srs)


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_salts_fill_the_range(bits: int) -> None:
    fmt = FixedPoint(bits=bits, fraction_bits=0)
    salts = np.concatenate([draw_salts(fmt) for _ in range(20)])
    assert salts.dtype == np.int64
    assert salts.min() >= fmt.lowest
    assert salts.max() <= fmt.highest
    # 10,240 uniform draws: an extreme eighth that stays empty has probability below 10^-500.
    eighth = (fmt.highest - fmt.lowest + 1) // 8
    assert (salts < fmt.lowest + eighth).any()
    assert (salts > fmt.highest - eighth).any()


def test_range_check_names_the_row() -> None:
    Column(values=np.array([-128, 127]), salts=draw_salts(FMT)).check_range(FMT)
    for bad in (-129, 128):
        with pytest.raises(FieldError, match=r"values\[1\]"):
            Column(values=np.array([0, bad]), salts=draw_salts(FMT)).check_range(FMT)
    salts = draw_salts(FMT)
    salts[7] = 1000
    with pytest.raises(FieldError, match=r"salts\[7\]"):
        Column(values=np.array([0]), salts=salts).check_range(FMT)


@pytest.mark.parametrize(
    ("values", "salts"),
    [
        (np.zeros(3), draw_salts(FMT)),
        (np.zeros((1, 3), dtype=np.int64), draw_salts(FMT)),
        (np.zeros(0, dtype=np.int64), draw_salts(FMT)),
        (np.zeros(3, dtype=np.int64), np.zeros(SALT_ROWS - 1, dtype=np.int64)),
    ],
)
def test_malformed_columns_are_refused(values: np.ndarray, salts: np.ndarray) -> None:
    with pytest.raises(FieldError):
        Column(values=values, salts=salts)


def test_a_column_must_fit_its_domain(srs: Srs) -> None:
    with pytest.raises(FieldError):
        commit(empty_column((1 << srs.k) - SALT_ROWS - 5, FMT), srs)
    commit(empty_column((1 << srs.k) - SALT_ROWS - 6, FMT), srs)


def test_is_the_sum_of_rows_times_lagrange_points(srs: Srs) -> None:
    """Against the definition: row by row, in arithmetic that is not the crate's, on points read from the file."""
    col = Column(values=np.array([3, -2, 0], dtype=np.int64), salts=np.zeros(SALT_ROWS, dtype=np.int64), tail=5)
    col.salts[[0, 511]] = 7, -1
    rows = {0: 3, 1: -2, 3: 7, 514: -1, **dict.fromkeys(range((1 << srs.k) - 6, 1 << srs.k), 5)}
    expected = sum_points(scale(lagrange(srs, row), value) for row, value in rows.items())
    assert commit(col, srs) == expected


def lagrange(srs: Srs, row: int) -> G1Point:
    """[L_row(tau)]_1 as the file holds it: little-endian Montgomery limbs."""
    start = 4 + 64 * (1 << srs.k) + 64 * row
    raw = srs.path.read_bytes()[start : start + 64]
    inverse = pow(1 << 256, -1, FIELD_MODULUS)
    x, y = (int.from_bytes(part, "little") * inverse % FIELD_MODULUS for part in (raw[:32], raw[32:]))
    return G1Point(x, y).checked()


@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_a_point_is_drawn_for_its_round(srs: Srs, rounds: int) -> None:
    values = np.array([1, -2, 3], dtype=np.int64)
    for round in range(rounds):
        col, point = draw_for_round(values, FMT, srs, round=round, rounds=rounds)
        assert fits_round(point, round=round, rounds=rounds)
        check_opening(col, point, srs)
        col.check_range(FMT)
    with pytest.raises(FieldError, match="round"):
        draw_for_round(values, FMT, srs, round=rounds, rounds=rounds)


@pytest.mark.parametrize(("bits", "digit"), [(4, 0), (8, 1), (8, 2), (8, 3), (16, 1), (16, 5), (16, 6)])
def test_a_digit_that_is_zero_everywhere_is_proven(srs: Srs, bits: int, digit: int) -> None:
    """Whoever chooses a column could otherwise stop the round that it is in."""
    fmt = FixedPoint(bits=bits, fraction_bits=0)
    rows = np.random.default_rng(1).integers(0, 1 << bits, SALT_ROWS + 9) & ~(3 << 2 * digit)
    column = Column(values=rows[SALT_ROWS:] + fmt.lowest, salts=rows[:SALT_ROWS] + fmt.lowest)
    key, points = update_argument.make_key(srs, dim=9, bits=bits), [commit(column, srs)]
    proof = update_argument.prove(srs, key, context=bytes(32), columns=[column], points=points)
    update_argument.verify(key, context=bytes(32), points=points, proof=proof)
