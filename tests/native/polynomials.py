"""Polynomials over BN254's scalar field, as lists of coefficients, lowest first. Slow and plain: for tests."""

from collections.abc import Sequence

from circuits.bn254 import SCALAR_MODULUS as R

GENERATOR = 7  # of the field's multiplicative group, as halo2 has it
TWO_ADICITY = 28

Polynomial = list[int]


def root_of_unity(k: int) -> int:
    """The element of order 2^k that the domain's rows are powers of, k <= 28."""
    assert k <= TWO_ADICITY
    return pow(GENERATOR, (R - 1) >> k, R)


def inverse(x: int) -> int:
    return pow(x, -1, R)


def powers(base: int, count: int) -> list[int]:
    """1, base, base^2, ..."""
    out, power = [], 1
    for _ in range(count):
        out.append(power)
        power = power * base % R
    return out


def transform(coefficients: Sequence[int], omega: int) -> list[int]:
    """The values at the powers of omega, whose order is the number of coefficients, a power of two."""
    n = len(coefficients)
    if n == 1:
        return [coefficients[0] % R]
    even = transform(coefficients[0::2], omega * omega % R)
    odd = transform(coefficients[1::2], omega * omega % R)
    turned = [w * x % R for w, x in zip(powers(omega, n // 2), odd, strict=True)]
    low = [(e + o) % R for e, o in zip(even, turned, strict=True)]
    return low + [(e - o) % R for e, o in zip(even, turned, strict=True)]


def values_on(polynomial: Polynomial, size: int) -> list[int]:
    """The values at the powers of the root of order `size`, which exceeds the degree."""
    assert len(polynomial) <= size
    return transform([*polynomial, *[0] * (size - len(polynomial))], root_of_unity(size.bit_length() - 1))


def interpolate(rows: Sequence[int]) -> Polynomial:
    """The polynomial with these values at the powers of the root whose order is their number."""
    n = len(rows)
    scale = inverse(n)
    return [c * scale % R for c in transform([x % R for x in rows], inverse(root_of_unity(n.bit_length() - 1)))]


def evaluate(polynomial: Polynomial, x: int) -> int:
    value = 0
    for c in reversed(polynomial):
        value = (value * x + c) % R
    return value


def combine(polynomials: Sequence[Polynomial], factors: Sequence[int]) -> Polynomial:
    """sum(factor * polynomial)."""
    out = [0] * max(len(p) for p in polynomials)
    for p, factor in zip(polynomials, factors, strict=True):
        for i, c in enumerate(p):
            out[i] = (out[i] + factor * c) % R
    return out


def divide_by_vanishing(polynomial: Polynomial, n: int) -> tuple[Polynomial, bool]:
    """The quotient by X^n - 1, and whether nothing remains."""
    rest, quotient = polynomial[:], [0] * max(len(polynomial) - n, 1)
    for i in range(len(rest) - 1, n - 1, -1):
        quotient[i - n] = rest[i]
        rest[i - n] = (rest[i - n] + rest[i]) % R
        rest[i] = 0
    return quotient, not any(rest)


def divide_by_point(polynomial: Polynomial, x: int) -> Polynomial:
    """The quotient of p(X) - p(x) by X - x."""
    quotient, value = [0] * max(len(polynomial) - 1, 1), 0
    for i in range(len(polynomial) - 1, 0, -1):
        value = (value * x + polynomial[i]) % R
        quotient[i - 1] = value
    return quotient
