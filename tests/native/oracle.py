"""An independent prover and verifier of the update argument, over real curve points, for tests only.

The prover knows tau: a commitment is one scalar multiplication, p(tau) G, which makes small domains quick. It takes
no care to hide anything. The verifier needs no tau, and checks anybody's proof by a pairing.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from py_ecc.optimized_bn128 import FQ, FQ2, FQ12, G2, Z1, multiply, normalize, pairing

from circuits.bn254 import GENERATOR, INFINITY, G1Point, scale, sum_points
from circuits.bn254 import SCALAR_MODULUS as R
from circuits.commitment import SALT_ROWS, TAIL_ROWS
from tests.native.polynomials import (
    Polynomial,
    combine,
    divide_by_point,
    divide_by_vanishing,
    evaluate,
    interpolate,
    inverse,
    powers,
    root_of_unity,
    values_on,
)
from tests.native.statement import (
    Challenges,
    Gram,
    Proof,
    Statement,
    Transcript,
    VerifyingKey,
    challenges,
    points_bytes,
    require_sound_shape,
    word,
)

Rows = list[int]
Tamper = Callable[[str, Any], Any]


@dataclass(frozen=True)
class Setup:
    """A verifying key, and the tau behind it that nobody may know outside tests."""

    key: VerifyingKey
    tau: int

    def commit(self, polynomial: Polynomial) -> G1Point:
        return scale(GENERATOR, evaluate(polynomial, self.tau))


def make_setup(*, k: int, dim: int, bits: int, bits0: int, tau: int) -> Setup:
    """A key for columns of 2^k rows. There is no file behind it, so its digest is made up."""
    n = 1 << k
    assert dim + SALT_ROWS + TAIL_ROWS <= n
    selector = scale(GENERATOR, evaluate(interpolate([1] * dim + [0] * (n - dim)), tau))
    x, y = (coordinate.coeffs for coordinate in normalize(multiply(G2, tau)))
    g2 = [int(c) for c in (x[1], x[0], y[1], y[0])]
    return Setup(VerifyingKey(n, root_of_unity(k), inverse(n), dim, bits, bits0, tau ^ 0x5125, *selector, *g2), tau)


def column(key: VerifyingKey, values: Sequence[int], bits: int, rng: random.Random) -> Rows:
    """The rows of a committed vector: values, salts, zeros, tail."""
    half = 1 << (bits - 1)
    salts = [rng.randrange(-half, half) for _ in range(SALT_ROWS)]
    return [*values, *salts, *[0] * (key.n - len(values) - SALT_ROWS - TAIL_ROWS), *[1] * TAIL_ROWS]


def gram_of(columns: Sequence[Rows], dim: int) -> Gram:
    return [[sum(a * b for a, b in zip(x[:dim], y[:dim], strict=True)) for y in columns] for x in columns]


def honest(_: str, message: Any) -> Any:
    """Tampers with nothing."""
    return message


def prove(
    setup: Setup,
    columns: Sequence[Rows],
    gram: Gram,
    context: bytes,
    rng: random.Random,
    tamper: Tamper = honest,
    *,
    u_before_openings: bool = False,
) -> tuple[Statement, Proof]:
    """A proof of the claim that the columns have this Gram matrix, and the statement that it is about.

    Every message passes through `tamper(name, message)` before it is committed and absorbed; what follows is then
    computed as well as it can be: remainders of divisions that should be exact are dropped.
    `u_before_openings` forges against an unsound draft of the transcript: see `_opening_that_fits`.
    """
    key, n = setup.key, setup.key.n
    v = [interpolate(rows) for rows in columns]
    statement = Statement(key, context, tamper("points", [setup.commit(p) for p in v]), gram)
    digit_rows = tamper("digits", [_digit_rows(rows, key.width(i)) for i, rows in enumerate(columns)])
    digits = [[interpolate(rows) for rows in of_column] for of_column in digit_rows]
    flat_digits = [p for of_column in digits for p in of_column]
    selector = interpolate(tamper("selector", [1] * key.dim + [0] * (n - key.dim)))
    transcript = Transcript()
    transcript.absorb_statement(statement)

    digit_points = [setup.commit(p) for p in flat_digits]
    transcript.absorb(points_bytes(digit_points))
    alpha, beta = transcript.challenge(), transcript.challenge()

    a, b = combine(v, powers(alpha, len(v))), combine(v, powers(beta, len(v)))
    step = combined_gram(gram, alpha, beta) * key.n_inverse % R
    z_rows = tamper("z", _running_sum(a, b, selector, step, n, rng))
    mask = [rng.randrange(R) for _ in range(3)]
    z = combine([interpolate(z_rows), [*[-m for m in mask], *[0] * (n - 3), *mask]], [1, 1])
    z_point = setup.commit(z)
    transcript.absorb(z_point.to_bytes())
    eta = transcript.challenge()

    f = _identity(key, v, digits, a, b, selector, z, step, eta)
    quotient, exact = divide_by_vanishing(f, n)
    assert exact or tamper is not honest, "an honest prover divides exactly"
    q = tamper("quotients", _blinded_parts(quotient, n, rng))
    q_points = [setup.commit(part) for part in q]
    transcript.absorb(points_bytes(q_points))
    zeta = transcript.challenge()

    evaluations = [evaluate(p, zeta) for p in [*v, *flat_digits, selector, z]]
    evaluations = tamper("evaluations", [*evaluations, evaluate(z, zeta * key.omega % R)])
    transcript.absorb(b"".join(word(x) for x in evaluations))
    nu = transcript.challenge()

    zn = pow(zeta, n, R)
    linear = combine(q, [1, zn, zn * zn % R])
    batch_of = [*v, *flat_digits, selector, z, linear]
    batch = combine(batch_of, powers(nu, len(batch_of)))
    if u_before_openings:
        drawn = Challenges(alpha, beta, eta, zeta, nu, transcript.challenge())
        opening, shifted = _opening_that_fits(statement, evaluations, drawn, batch, z)
    else:
        opening = tamper("opening", divide_by_point(batch, zeta))
        shifted = tamper("shifted opening", divide_by_point(z, zeta * key.omega % R))
    return statement, Proof(digit_points, z_point, q_points, evaluations, setup.commit(opening), setup.commit(shifted))


def verify(statement: Statement, proof: Proof, *, tau: int | None = None, u_before_openings: bool = False) -> bool:
    """Whether the proof holds. With tau, the pairing is replaced by a multiplication."""
    require_sound_shape(statement)
    key = statement.key
    drawn = challenges(statement, proof, u_before_openings=u_before_openings)
    zeta, nu, u = drawn.zeta, drawn.nu, drawn.u
    zn = pow(zeta, key.n, R)
    if zn == 1:
        return False
    quotient = quotient_value(statement, proof.evaluations, drawn)
    *opened, z_shifted = [*proof.evaluations]
    claimed = sum(x * power for x, power in zip([*opened, quotient], powers(nu, len(opened) + 1), strict=True)) % R
    linear = sum_points([scale(q, pow(zn, i, R)) for i, q in enumerate(proof.quotients)])
    batch_of = [*statement.points, *proof.digits, key.selector, proof.running_sum, linear]
    batch = sum_points([scale(p, power) for p, power in zip(batch_of, powers(nu, len(batch_of)), strict=True)])
    left = sum_points([proof.opening, scale(proof.shifted_opening, u)])
    right = sum_points(
        [
            scale(proof.opening, zeta),
            scale(proof.shifted_opening, u * zeta * key.omega),
            batch,
            scale(GENERATOR, -claimed - u * z_shifted),
            scale(proof.running_sum, u),
        ]
    )
    if tau is not None:
        return scale(left, tau) == right
    return _pair(_tau_g2(key), left) == _pair(G2, right)


def combined_gram(gram: Gram, alpha: int, beta: int) -> int:
    """t = sum over i, j of alpha^i beta^j G[i][j]."""
    pairs = ((i, j, entry) for i, row in enumerate(gram) for j, entry in enumerate(row))
    return sum(pow(alpha, i, R) * pow(beta, j, R) * entry for i, j, entry in pairs) % R


def quotient_value(statement: Statement, evaluations: Sequence[int], drawn: Challenges) -> int:
    """F(zeta) / (zeta^n - 1), from the evaluations that a prover claims."""
    key, count = statement.key, statement.columns
    v, flat = evaluations[:count], list(evaluations[count:-3])
    selector, z, z_shifted = evaluations[-3:]
    a = sum(x * power for x, power in zip(v, powers(drawn.alpha, count), strict=True))
    b = sum(x * power for x, power in zip(v, powers(drawn.beta, count), strict=True))
    t = combined_gram(statement.gram, drawn.alpha, drawn.beta)
    f, power = z_shifted - z - a * b * selector + t * key.n_inverse, drawn.eta
    for i, x in enumerate(v):
        upper = [flat.pop(0) for _ in range(key.digits(i) - 1)]
        lowest = x + (1 << (key.width(i) - 1)) - sum(4 ** (j + 1) * d for j, d in enumerate(upper))
        for digit in [lowest, *upper]:
            f, power = f + power * _range4(digit), power * drawn.eta % R
    return f * inverse(pow(drawn.zeta, key.n, R) - 1) % R


def _digit_rows(rows: Rows, width: int) -> list[Rows]:
    """Base-4 digits 1.. of row + 2^(width-1)."""
    half = 1 << (width - 1)
    return [[((x + half) >> (2 * j)) & 3 for x in rows] for j in range(1, width // 2)]


def _running_sum(a: Polynomial, b: Polynomial, s: Polynomial, step: int, n: int, rng: random.Random) -> Rows:
    """z at each row: it grows by a b S - t/n a row."""
    rows = [rng.randrange(R)]
    for x, y, selected in list(zip(values_on(a, n), values_on(b, n), values_on(s, n), strict=True))[:-1]:
        rows.append((rows[-1] + x * y * selected - step) % R)
    return rows


def _identity(
    key: VerifyingKey,
    v: list[Polynomial],
    digits: list[list[Polynomial]],
    a: Polynomial,
    b: Polynomial,
    selector: Polynomial,
    z: Polynomial,
    step: int,
    eta: int,
) -> Polynomial:
    """F, interpolated from 4n points: its degree is below 4n."""
    size = 4 * key.n
    on = [values_on(p, size) for p in (a, b, selector, z)]
    shifted = on[3][4:] + on[3][:4]  # omega is the fourth power of the larger domain's root
    f = [zw - zx - x * y * s + step for x, y, s, zx, zw in zip(*on, shifted, strict=True)]
    power = eta
    for i, (p, upper) in enumerate(zip(v, digits, strict=True)):
        lowest = combine([p, [1 << (key.width(i) - 1)], *upper], [1, 1, *[-(4 ** (j + 1)) for j in range(len(upper))]])
        for digit in [lowest, *upper]:
            f = [(x + power * _range4(d)) % R for x, d in zip(f, values_on(digit, size), strict=True)]
            power = power * eta % R
    return interpolate(f)


def _blinded_parts(quotient: Polynomial, n: int, rng: random.Random) -> list[Polynomial]:
    """Q0 + r0 X^n, Q1 - r0 + r1 X^n, Q2 - r1: their combination at zeta is the quotient's value."""
    r0, r1 = rng.randrange(R), rng.randrange(R)
    padded = [*quotient, *[0] * (3 * n - len(quotient))]
    q0, q1, q2 = padded[:n], padded[n : 2 * n], padded[2 * n : 3 * n]
    return [[*q0, r0], [(q1[0] - r0) % R, *q1[1:], r1], [(q2[0] - r1) % R, *q2[1:]]]


def _opening_that_fits(
    statement: Statement, evaluations: Sequence[int], drawn: Challenges, batch: Polynomial, z: Polynomial
) -> tuple[Polynomial, Polynomial]:
    """Openings of any claims at all, for a prover who knows u before it sends them.

    A constant W_w makes batch - E + u (Z - zw) - u (X - w zeta) W_w vanish at zeta, and W is what is left of it
    divided by X - zeta.
    """
    omega, zeta, u = statement.key.omega, drawn.zeta, drawn.u
    claims = [*evaluations[:-1], quotient_value(statement, evaluations, drawn)]
    claimed = sum(x * power for x, power in zip(claims, powers(drawn.nu, len(claims)), strict=True))
    rest = combine([batch, z, [claimed + u * evaluations[-1]]], [1, u, -1])
    constant = evaluate(rest, zeta) * inverse(u * zeta * (1 - omega)) % R
    rest = combine([rest, [-zeta * omega, 1]], [1, -u * constant])
    assert evaluate(rest, zeta) == 0
    return divide_by_point(rest, zeta), [constant]


def _range4(x: int) -> int:
    return x * (x - 1) * (x - 2) * (x - 3)


def _tau_g2(key: VerifyingKey) -> tuple[FQ2, FQ2, FQ2]:
    x = FQ2([key.tau_x_real, key.tau_x_imaginary])
    y = FQ2([key.tau_y_real, key.tau_y_imaginary])
    return x, y, FQ2.one()


def _pair(g2: Any, g1: G1Point) -> FQ12:
    return pairing(g2, Z1 if g1 == INFINITY else (FQ(g1.x), FQ(g1.y), FQ(1)))
