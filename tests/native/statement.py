"""What the update argument is about, and its bytes: verifying key, statement, proof, transcript."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise

from eth_utils import keccak

from circuits.bn254 import INFINITY, G1Point
from circuits.bn254 import SCALAR_MODULUS as R

LABEL = b"merit/update-argument/v1"
KEY_WORDS = 13
GRAM_LIMIT = 1 << 62
MAX_COLUMNS = 32

Gram = list[list[int]]


class MalformedProof(ValueError):
    """Bytes that are no proof of this statement's shape."""


@dataclass(frozen=True)
class VerifyingKey:
    """The 13 words that a task pins by their Keccak-256.

    Attributes:
        n: rows of a column, 2^k.
        omega: the domain's root of unity.
        n_inverse: 1/n mod r.
        dim: rows that count for the Gram matrix.
        bits: width of an entry.
        bits0: width of an entry of column 0.
        srs_digest: SHA-256 of the string's file, as an integer.
        selector_x, selector_y: commitment to the column of dim ones and zeros.
        tau_x_imaginary, tau_x_real, tau_y_imaginary, tau_y_real: [tau]_2 as the pairing precompile takes it.
    """

    n: int
    omega: int
    n_inverse: int
    dim: int
    bits: int
    bits0: int
    srs_digest: int
    selector_x: int
    selector_y: int
    tau_x_imaginary: int
    tau_x_real: int
    tau_y_imaginary: int
    tau_y_real: int

    @property
    def selector(self) -> G1Point:
        return G1Point(self.selector_x, self.selector_y)

    def width(self, column: int) -> int:
        """Bits of an entry of this column."""
        return self.bits0 if column == 0 else self.bits

    def digits(self, column: int) -> int:
        """Base-4 digits of an entry of this column; all but the lowest are committed."""
        return self.width(column) // 2

    def to_bytes(self) -> bytes:
        return b"".join(word(x) for x in astuple(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> "VerifyingKey":
        assert len(data) == 32 * KEY_WORDS
        return cls(*[int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)])


@dataclass(frozen=True)
class Statement:
    """What is claimed: these points commit to columns in range, with this Gram matrix (N x N, symmetric)."""

    key: VerifyingKey
    context: bytes
    points: list[G1Point]
    gram: Gram

    @property
    def columns(self) -> int:
        return len(self.points)

    @property
    def committed_digits(self) -> int:
        return sum(self.key.digits(i) - 1 for i in range(self.columns))

    @property
    def evaluation_count(self) -> int:
        """v, d, S, z, z(w zeta)."""
        return self.columns + self.committed_digits + 3

    def gram_bytes(self) -> bytes:
        """The upper triangle, row by row, 8 bytes each."""
        triangle = [entry for i, row in enumerate(self.gram) for entry in row[i:]]
        return b"".join(entry.to_bytes(8, "big", signed=True) for entry in triangle)


@dataclass(frozen=True)
class Proof:
    """The prover's messages.

    Attributes:
        digits: D_ij, row-major.
        running_sum: Z.
        quotients: Q0, Q1, Q2.
        evaluations: v_i, d_ij (row-major), S, z, all at zeta; z at w zeta.
        opening, shifted_opening: W, W_w.
    """

    digits: list[G1Point]
    running_sum: G1Point
    quotients: list[G1Point]
    evaluations: list[int]
    opening: G1Point
    shifted_opening: G1Point

    def to_bytes(self) -> bytes:
        return (
            points_bytes([*self.digits, self.running_sum, *self.quotients])
            + b"".join(word(x) for x in self.evaluations)
            + points_bytes([self.opening, self.shifted_opening])
        )

    @classmethod
    def from_bytes(cls, data: bytes, statement: Statement) -> "Proof":
        """The proof, if it is one of this statement's shape (MalformedProof otherwise)."""
        head, scalars = 64 * (statement.committed_digits + 4), 32 * statement.evaluation_count
        if len(data) != head + scalars + 128:
            raise MalformedProof(f"{len(data)} bytes, not {head + scalars + 128}")
        at = [*range(0, head, 64), *range(head + scalars, len(data), 64)]
        *digits, z, q0, q1, q2, opening, shifted = [_finite(data[i : i + 64]) for i in at]
        evaluations = [int.from_bytes(data[i : i + 32], "big") for i in range(head, head + scalars, 32)]
        if any(x >= R for x in evaluations):
            raise MalformedProof("an evaluation is not below r")
        return cls(digits, z, [q0, q1, q2], evaluations, opening, shifted)


@dataclass(frozen=True)
class Challenges:
    """In the order in which they are drawn."""

    alpha: int
    beta: int
    eta: int
    zeta: int
    nu: int
    u: int


class Transcript:
    """Every challenge is Keccak-256(state, everything absorbed since the last one), which is the next state."""

    def __init__(self) -> None:
        self._state = keccak(LABEL)
        self._buffer = b""

    def absorb(self, data: bytes) -> None:
        self._buffer += data

    def challenge(self) -> int:
        self._state = keccak(self._state + self._buffer)
        self._buffer = b""
        return int.from_bytes(self._state, "big") % R

    def absorb_statement(self, statement: Statement) -> None:
        self.absorb(statement.key.to_bytes() + word(statement.columns) + statement.context)
        self.absorb(points_bytes(statement.points) + statement.gram_bytes())


def challenges(statement: Statement, proof: Proof, *, u_before_openings: bool = False) -> Challenges:
    """What the verifier draws.

    `u_before_openings` is the order of a draft that was unsound: tests forge a proof against it.
    """
    transcript = Transcript()
    transcript.absorb_statement(statement)
    transcript.absorb(points_bytes(proof.digits))
    alpha, beta = transcript.challenge(), transcript.challenge()
    transcript.absorb(proof.running_sum.to_bytes())
    eta = transcript.challenge()
    transcript.absorb(points_bytes(proof.quotients))
    zeta = transcript.challenge()
    transcript.absorb(b"".join(word(x) for x in proof.evaluations))
    nu = transcript.challenge()
    if not u_before_openings:
        transcript.absorb(points_bytes([proof.opening, proof.shifted_opening]))
    return Challenges(alpha, beta, eta, zeta, nu, transcript.challenge())


def require_sound_shape(statement: Statement) -> None:
    """AssertionError unless sizes, points and Gram integers are within the argument's limits."""
    assert 1 <= statement.columns <= MAX_COLUMNS
    assert len(statement.gram) == statement.columns
    assert all(len(row) == statement.columns for row in statement.gram)
    assert all(abs(entry) < GRAM_LIMIT for row in statement.gram for entry in row)
    assert all(point.checked() != INFINITY for point in statement.points)
    assert all(
        a == b for i, row in enumerate(statement.gram) for j, a in enumerate(row) for b in [statement.gram[j][i]]
    )


def word(x: int) -> bytes:
    return x.to_bytes(32, "big")


def points_bytes(points: Sequence[G1Point]) -> bytes:
    return b"".join(point.to_bytes() for point in points)


def unpack_gram(data: bytes, columns: int) -> Gram:
    """The whole matrix from its upper triangle."""
    gram = [[0] * columns for _ in range(columns)]
    pairs = [(i, j) for i in range(columns) for j in range(i, columns)]
    assert len(data) == 8 * len(pairs)
    for (i, j), (start, end) in zip(pairs, pairwise(range(0, len(data) + 8, 8)), strict=True):
        gram[i][j] = gram[j][i] = int.from_bytes(data[start:end], "big", signed=True)
    return gram


def _finite(data: bytes) -> G1Point:
    try:
        point = G1Point.from_bytes(data)
    except ValueError as error:
        raise MalformedProof(str(error)) from error
    if point == INFINITY:
        raise MalformedProof("a point is infinity")
    return point
