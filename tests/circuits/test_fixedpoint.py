import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from circuits.errors import FieldError, NotFinite
from circuits.fixedpoint import ALLOWED_BITS, FixedPoint, dequantize, quantize

formats = st.builds(FixedPoint, bits=st.sampled_from(ALLOWED_BITS), fraction_bits=st.integers(0, 20))
vectors = hnp.arrays(
    np.float64, st.integers(0, 40), elements=st.floats(-1e6, 1e6, allow_nan=False, allow_infinity=False)
)


@given(vectors, formats)
def test_is_the_formula_entry_by_entry(update: np.ndarray, fmt: FixedPoint) -> None:
    values = quantize(update, fmt).values
    for u, got in zip(update.tolist(), values.tolist(), strict=True):
        # Python's round() is half-even, and u * 2^q is exact.
        assert got == max(fmt.lowest, min(fmt.highest, round(u * 2**fmt.fraction_bits)))


@given(vectors, formats)
def test_residual_is_what_was_taken_away(update: np.ndarray, fmt: FixedPoint) -> None:
    result = quantize(update, fmt)
    assert np.array_equal(dequantize(result.values, fmt) + result.residual, update)
    inside = (result.values > fmt.lowest) & (result.values < fmt.highest)
    assert (np.abs(result.residual[inside]) <= 2.0 ** -(fmt.fraction_bits + 1)).all()


@given(formats, st.data())
def test_every_representable_value_survives(fmt: FixedPoint, data: st.DataObject) -> None:
    values = np.array(data.draw(st.lists(st.integers(fmt.lowest, fmt.highest), max_size=30)), dtype=np.int64)
    result = quantize(dequantize(values, fmt), fmt)
    assert np.array_equal(result.values, values)
    assert result.clipped_share == 0
    assert not result.residual.any()


def test_ties_go_to_even_and_clipping_is_reported() -> None:
    fmt = FixedPoint(bits=4, fraction_bits=1)
    result = quantize(np.array([0.25, 0.75, -0.25, -0.75, 100.0, -100.0, 1e308, 1.0]), fmt)
    assert result.values.tolist() == [0, 2, 0, -2, 7, -8, 7, 2]
    assert result.clipped_share == 3 / 8


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_error_with_its_index(bad: float) -> None:
    with pytest.raises(NotFinite) as caught:
        quantize(np.array([0.0, 1.0, bad, bad]), FixedPoint(bits=8, fraction_bits=7))
    assert caught.value.index == 2


@pytest.mark.parametrize("update", [np.zeros((2, 2)), np.zeros(3, dtype=np.int64), np.array(["1"])])
def test_only_flat_float_vectors(update: np.ndarray) -> None:
    with pytest.raises(FieldError) as caught:
        quantize(update, FixedPoint(bits=8, fraction_bits=7))
    assert caught.value.field == "update"


@pytest.mark.parametrize(
    ("bits", "fraction_bits", "field"), [(7, 3, "bits"), (8, -1, "fraction_bits"), (8, 41, "fraction_bits")]
)
def test_formats_have_limits(bits: int, fraction_bits: int, field: str) -> None:
    with pytest.raises(FieldError) as caught:
        FixedPoint(bits=bits, fraction_bits=fraction_bits)
    assert caught.value.field == field
