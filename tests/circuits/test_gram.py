import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from circuits.commitment import Column, draw_salts
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.linear.gram import full_matrix, gram, padded, upper_triangle

FMT = FixedPoint(bits=8, fraction_bits=7)
matrices = hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 12)), elements=st.integers(-32768, 32767))


def columns(rows: np.ndarray) -> list[Column]:
    return [Column(values=row, salts=draw_salts(FMT)) for row in rows]


@given(matrices)
def test_is_the_sum_of_products(rows: np.ndarray) -> None:
    expected = [[sum(int(a) * int(b) for a, b in zip(r, s, strict=True)) for s in rows] for r in rows]
    assert gram(columns(rows)) == expected


def test_is_exact_where_int64_is_not() -> None:
    rows = np.full((2, 4), 1 << 31, dtype=np.int64)
    assert gram(columns(rows))[0][1] == 1 << 64


@given(matrices)
def test_triangles_round_trip(rows: np.ndarray) -> None:
    full = gram(columns(rows))
    assert full_matrix(upper_triangle(full), len(full)) == full


def test_a_triangle_of_another_size_is_refused() -> None:
    with pytest.raises(FieldError, match="gram"):
        full_matrix([1, 2], 2)


@given(matrices, st.integers(0, 3))
def test_empty_slots_are_zeros(rows: np.ndarray, empty: int) -> None:
    full = gram(columns(rows))
    wide = padded(full, len(full) + empty)
    assert [row[: len(full)] for row in wide[: len(full)]] == full
    assert sum(abs(x) for row in wide for x in row) == sum(abs(x) for row in full for x in row)
    assert [len(row) for row in wide] == [len(wide)] * (len(full) + empty)
