"""The global model: an exact integer vector, and what a round does to it (protocol.md section 2).

K = lcm(1..slots) makes the mean of any accepted set an integer in units of 2^-q / K:
M_{r+1} = M_r + (K / n_r) * sum(accepted updates). Salts and tails move the same way, so the model's commitment is
the same combination of the updates' commitments.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from circuits.bn254 import G1Point, scale, sum_points
from circuits.commitment import SALT_ROWS, Column
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint

MAX_MODEL_BITS = 63  # a model's entries travel as int64


def denominator(slots: int) -> int:
    """K = lcm(1..slots)."""
    return math.lcm(*range(1, slots + 1))


def check_room(*, slots: int, rounds: int, fmt: FixedPoint) -> None:
    """FieldError if `rounds` rounds of K-fold updates could leave int64 (half of it is left to the genesis model)."""
    per_round = denominator(slots) << (fmt.bits - 1)
    most = (1 << (MAX_MODEL_BITS - 1)) // per_round
    if rounds > most:
        raise FieldError("rounds", rounds, f"with {slots} slots of {fmt.bits} bits int64 holds at most {most}")


def genesis(parameters: NDArray[np.floating], fmt: FixedPoint, slots: int) -> Column:
    """The first model, from floats: round_half_even(p * 2^q * K), with public salts (zeros), for it is public.

    Raises:
        FieldError: an entry is not finite, or too large for int64 with room to train.
    """
    scaled = np.rint(np.asarray(parameters, dtype=np.float64) * 2.0**fmt.fraction_bits * denominator(slots))
    if not np.isfinite(scaled).all() or (np.abs(scaled) >= 2.0 ** (MAX_MODEL_BITS - 1)).any():
        raise FieldError("parameters", "an entry", f"times 2^q * K it must be below 2^{MAX_MODEL_BITS - 1}")
    return Column(values=scaled.astype(np.int64), salts=np.zeros(SALT_ROWS, dtype=np.int64))


def total(columns: Sequence[Column]) -> Column:
    """The sum of one or more columns, row by row; it opens the sum of their commitments."""
    return Column(
        values=np.sum([c.values for c in columns], axis=0, dtype=np.int64),
        salts=np.sum([c.salts for c in columns], axis=0, dtype=np.int64),
        tail=sum(c.tail for c in columns),
    )


def fold(model: Column, accepted: Sequence[Column], slots: int) -> Column:
    """The next model: model + (K / n) * sum(accepted), row by row; the same model if nobody was accepted."""
    if not accepted:
        return model
    if len(accepted) > slots:
        raise FieldError("accepted", len(accepted), f"there are {slots} slots")
    share, moved = denominator(slots) // len(accepted), total(accepted)
    return Column(
        values=model.values + share * moved.values,
        salts=model.salts + share * moved.salts,
        tail=model.tail + share * moved.tail,
    )


def fold_commitment(model: G1Point, accepted: Sequence[G1Point], slots: int) -> G1Point:
    """What the contract does: C_{r+1} = C_r + (K / n) * sum(accepted commitments)."""
    if not accepted:
        return model
    return sum_points([model, scale(sum_points(accepted), denominator(slots) // len(accepted))])
