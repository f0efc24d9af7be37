"""Points of BN254's first group, and what a contract does with them: sums and multiples."""

from collections.abc import Iterable
from typing import NamedTuple

from py_ecc.optimized_bn128 import FQ, add, b, curve_order, field_modulus, is_on_curve, multiply, normalize

from circuits.errors import FieldError

FIELD_MODULUS: int = field_modulus
SCALAR_MODULUS: int = curve_order

_Projective = tuple[FQ, FQ, FQ]
_ZERO: _Projective = (FQ(1), FQ(1), FQ(0))


class G1Point(NamedTuple):
    """An affine point; (0, 0) is the point at infinity, as in the EVM's precompiles."""

    x: int
    y: int

    def to_bytes(self) -> bytes:
        """64 bytes: x then y, big-endian."""
        return self.x.to_bytes(32, "big") + self.y.to_bytes(32, "big")

    @classmethod
    def from_bytes(cls, data: bytes) -> "G1Point":
        """The inverse of `to_bytes`; the point must be on the curve.

        Raises:
            FieldError: wrong length, a coordinate outside the field, or a point off the curve.
        """
        if len(data) != 64:
            raise FieldError("point", f"{len(data)} bytes", "it must be 64 bytes")
        return cls(int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")).checked()

    def checked(self) -> "G1Point":
        """The point itself, if it is on the curve (FieldError otherwise)."""
        if not (0 <= self.x < FIELD_MODULUS and 0 <= self.y < FIELD_MODULUS):
            raise FieldError("point", self, "coordinates must be below the field's modulus")
        if self != INFINITY and not is_on_curve(_lift(self), b):
            raise FieldError("point", self, "it must be on the curve")
        return self


INFINITY = G1Point(0, 0)
GENERATOR = G1Point(1, 2)


def _lift(point: G1Point) -> _Projective:
    return _ZERO if point == INFINITY else (FQ(point.x), FQ(point.y), FQ(1))


def _lower(point: _Projective) -> G1Point:
    if point[2] == FQ(0):
        return INFINITY
    x, y = normalize(point)
    return G1Point(int(x), int(y))


def sum_points(points: Iterable[G1Point]) -> G1Point:
    """Sum of the points."""
    total = _ZERO
    for point in points:
        total = add(total, _lift(point))
    return _lower(total)


def scale(point: G1Point, factor: int) -> G1Point:
    """factor * point, for any integer factor."""
    return _lower(multiply(_lift(point), factor % SCALAR_MODULUS))
