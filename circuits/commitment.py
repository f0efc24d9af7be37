"""Columns, salts and their KZG commitments (protocol.md section 3).

A column of n = 2^k rows holds dim data rows, 512 salt rows, zeros, and 6 last rows of 1. It commits as
sum(row_l * [L_l(tau)]_1), one point, whose multi-scalar multiplication is the Rust crate's.
"""

import secrets
from dataclasses import dataclass

import merit_native
import numpy as np
from numpy.typing import NDArray

from circuits.bn254 import G1Point
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.native import translated
from circuits.srs import Srs

SALT_ROWS: int = merit_native.SALT_ROWS
TAIL_ROWS: int = merit_native.TAIL_ROWS
MIN_LOGROWS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """What one commitment opens to.

    Attributes:
        values: int64[dim], the data rows.
        salts: int64[512], the salt rows; they hide the data.
        tail: the integer in each of the last 6 rows; 1 but for models, where tails add up.
    """

    values: NDArray[np.int64]
    salts: NDArray[np.int64]
    tail: int = 1

    def __post_init__(self) -> None:
        for field, vector in (("values", self.values), ("salts", self.salts)):
            if vector.dtype != np.int64 or vector.ndim != 1:
                raise FieldError(field, f"{vector.dtype}{list(vector.shape)}", "it must be a flat int64 vector")
        if self.salts.shape != (SALT_ROWS,):
            raise FieldError("salts", f"{self.salts.size} rows", f"there must be {SALT_ROWS}")
        if not self.values.size:
            raise FieldError("values", "0 rows", "there must be at least one")

    @property
    def dim(self) -> int:
        return int(self.values.size)

    def check_range(self, fmt: FixedPoint) -> None:
        """FieldError, with the index, at the first row outside the format's range."""
        for field, vector in (("values", self.values), ("salts", self.salts)):
            outside = np.flatnonzero((vector < fmt.lowest) | (vector > fmt.highest))
            if outside.size:
                index = int(outside[0])
                raise FieldError(
                    f"{field}[{index}]", int(vector[index]), f"it must lie in [{fmt.lowest}, {fmt.highest}]"
                )


def smallest_logrows(dim: int) -> int:
    """log2 of the smallest domain, of 2^10 rows at least, that holds a column of this dim."""
    return max(MIN_LOGROWS, (dim + SALT_ROWS + TAIL_ROWS - 1).bit_length())


def draw_salts(fmt: FixedPoint) -> NDArray[np.int64]:
    """512 rows, uniform over the b-bit range, from the system's cryptographic generator."""
    raw = np.frombuffer(secrets.token_bytes(2 * SALT_ROWS), dtype="<u2").astype(np.int64)
    return (raw >> (16 - fmt.bits)) + fmt.lowest


def empty_column(dim: int, fmt: FixedPoint) -> Column:
    """The fixed public column without data: zeros, and salts (129 i mod 2^b) - 2^(b-1) in salt row i.

    They go through the whole range; any fixed salts would do, but for zeros, which would commit to the tail alone.
    """
    salts = (129 * np.arange(SALT_ROWS, dtype=np.int64)) % (1 << fmt.bits) + fmt.lowest
    return Column(values=np.zeros(dim, dtype=np.int64), salts=salts)


def commit(column: Column, srs: Srs) -> G1Point:
    """The column's commitment in the domain of `srs`.

    Raises:
        FieldError: the column does not fit the domain.
    """
    with translated():
        return G1Point.from_bytes(
            merit_native.commit(srs.native, column.values.data, column.salts.data, tail=column.tail)
        )


def draw_for_round(
    values: NDArray[np.int64], fmt: FixedPoint, srs: Srs, *, round: int, rounds: int
) -> tuple[Column, G1Point]:
    """A freshly salted column of these values, and its commitment, which fits `round` of a task of `rounds` rounds.

    A point belongs to the round that its x leaves modulo the number of rounds, so that none can come twice in a task.
    One salt, drawn at random, is drawn again until the point fits: `rounds` tries on average, a multiplication each.

    Raises:
        FieldError: the column does not fit the domain, or there is no such round.
    """
    if not 0 <= round < rounds:
        raise FieldError("round", round, f"it must lie in [0, {rounds})")
    salts = draw_salts(fmt)
    point = commit(Column(values=values, salts=salts), srs)
    while not fits_round(point, round=round, rounds=rounds):
        row = secrets.randbelow(SALT_ROWS)
        change = secrets.randbelow(1 << fmt.bits) + fmt.lowest - int(salts[row])
        salts[row] += change
        with translated():
            moved = merit_native.commit_delta(srs.native, point.to_bytes(), row=len(values) + row, change=change)
        point = G1Point.from_bytes(moved)
    return Column(values=values, salts=salts), point


def fits_round(point: G1Point, *, round: int, rounds: int) -> bool:
    """Whether a point can be committed in a round of a task of `rounds` rounds."""
    return point.x % rounds == round


def check_opening(column: Column, point: G1Point, srs: Srs) -> None:
    """CommitmentMismatch unless `point` commits to exactly this column."""
    with translated():
        merit_native.check_opening(
            srs.native, point.to_bytes(), column.values.data, column.salts.data, tail=column.tail
        )
