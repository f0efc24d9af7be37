from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from circuits.commitment import SALT_ROWS, Column, draw_salts
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.linear.gram import GramCircuit, full_matrix, gram, upper_triangle

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


@given(st.integers(0, 2**32 - 1))
def test_graph_equals_reference(small: onnxruntime.InferenceSession, seed: int) -> None:
    cols = columns(np.random.default_rng(seed).integers(-128, 128, (4, 20)))
    feed = {f"column_{i}": np.array(c.rows, dtype=np.float64) for i, c in enumerate(cols)}
    triangle = small.run(None, feed)[0]
    assert [int(x) for x in triangle] == upper_triangle(gram(cols))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path: Path = tmp_path_factory.mktemp("gram") / "gram.onnx"
    GramCircuit(slots=4, dim=20, fmt=FMT, logrows=12).export_onnx(path)
    return onnxruntime.InferenceSession(path)


@pytest.mark.parametrize(("dim", "logrows"), [(65536 - SALT_ROWS, 16), (20, 8), (20, 21)])
def test_what_does_not_fit_its_rows(dim: int, logrows: int) -> None:
    with pytest.raises(FieldError):
        GramCircuit(slots=4, dim=dim, fmt=FMT, logrows=logrows)
