import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.bn254 import FIELD_MODULUS, GENERATOR, INFINITY, SCALAR_MODULUS, G1Point, scale, sum_points
from circuits.errors import FieldError

scalars = st.integers(-(1 << 40), 1 << 40)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 50), scalars), max_size=8))
def test_a_sum_of_multiples(terms: list[tuple[int, int]]) -> None:
    points = [scale(GENERATOR, base) for base, _ in terms]
    naive = sum_points(scale(p, s) for p, (_, s) in zip(points, terms, strict=True))
    assert naive == scale(GENERATOR, sum(base * s for base, s in terms))


def test_group_order_and_inverse() -> None:
    assert scale(GENERATOR, SCALAR_MODULUS) == INFINITY
    assert sum_points([GENERATOR, scale(GENERATOR, -1)]) == INFINITY
    assert sum_points([]) == INFINITY


@given(st.integers(1, 1 << 30))
@settings(max_examples=10)
def test_bytes_round_trip(factor: int) -> None:
    point = scale(GENERATOR, factor)
    assert G1Point.from_bytes(point.to_bytes()) == point


@pytest.mark.parametrize(
    "data",
    [b"", bytes(63), bytes(65), bytes(31) + b"\x01" + bytes(31) + b"\x03", FIELD_MODULUS.to_bytes(32, "big") * 2],
)
def test_malformed_points_are_refused(data: bytes) -> None:
    with pytest.raises(FieldError):
        G1Point.from_bytes(data)
