"""Floats to b-bit integers and back (protocol.md section 2). The only place where a float meets an integer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.errors import FieldError, NotFinite

ALLOWED_BITS = (4, 8, 16)
MAX_FRACTION_BITS = 40


@dataclass(frozen=True, kw_only=True)
class FixedPoint:
    """The number format of a task.

    Attributes:
        bits: width b of a quantised entry; entries lie in [-2^(b-1), 2^(b-1) - 1].
        fraction_bits: q, where one unit is worth 2^-q. In [0, 40].
    """

    bits: int
    fraction_bits: int

    def __post_init__(self) -> None:
        if self.bits not in ALLOWED_BITS:
            raise FieldError("bits", self.bits, f"it must be one of {ALLOWED_BITS}")
        if not 0 <= self.fraction_bits <= MAX_FRACTION_BITS:
            raise FieldError("fraction_bits", self.fraction_bits, f"it must lie in [0, {MAX_FRACTION_BITS}]")

    @property
    def lowest(self) -> int:
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True, kw_only=True)
class QuantizedUpdate:
    """A quantised update and what quantisation took away.

    Attributes:
        values: int64[dim], every entry in the format's range.
        residual: float64[dim], update - values * 2^-q: stays with the trainer (error feedback).
        clipped_share: share of entries that were clipped, in [0, 1].
    """

    values: NDArray[np.int64]
    residual: NDArray[np.float64]
    clipped_share: float


def quantize(update: NDArray[np.floating], fmt: FixedPoint) -> QuantizedUpdate:
    """clip(round_half_even(u * 2^q), -2^(b-1), 2^(b-1) - 1), entry by entry.

    Args:
        update: float[dim], the flattened change of the parameters.
    Raises:
        FieldError: `update` is not a flat float vector.
        NotFinite: an entry is NaN or infinite.
    """
    update = np.asarray(update)
    if update.ndim != 1 or update.dtype.kind != "f":
        raise FieldError("update", f"{update.dtype}{list(update.shape)}", "it must be a flat vector of floats")
    exact = update.astype(np.float64)
    if not np.isfinite(exact).all():
        index = int(np.flatnonzero(~np.isfinite(exact))[0])
        raise NotFinite(index, float(exact[index]))
    # A power of two, so scaling loses nothing; an overflow to infinity is clipped like any large entry.
    with np.errstate(over="ignore"):
        rounded = np.rint(exact * 2.0**fmt.fraction_bits)
    clipped = np.clip(rounded, fmt.lowest, fmt.highest)
    values = clipped.astype(np.int64)
    share = float(np.mean(clipped != rounded)) if update.size else 0.0
    return QuantizedUpdate(values=values, residual=exact - dequantize(values, fmt), clipped_share=share)


def dequantize(values: NDArray[np.int64], fmt: FixedPoint, *, denominator: int = 1) -> NDArray[np.float64]:
    """values * 2^-q / denominator, as float64. `denominator` is K for a model (see `circuits.model`)."""
    return np.asarray(values, dtype=np.float64) * 2.0**-fmt.fraction_bits / denominator
