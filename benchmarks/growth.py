"""How time and memory of the update argument grow, and what that says of larger models."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.records import Record, Results
from benchmarks.update_argument import Size, measure
from circuits.commitment import SALT_ROWS, TAIL_ROWS, smallest_logrows
from circuits.linear.update_argument import peak_bytes
from circuits.srs import MAX_K

LOGROWS = tuple(range(10, 22))
SLOTS = (4, 8, 16, 24, 32)
"""No argument is about more than 32 columns, here as in the contract: 64 slots take two arguments, which see no inner
products across them, so nothing is measured beyond."""
_SLOTS_OF_DIMS, _LOGROWS_OF_SLOTS, _BITS = 4, 14, 8
_FITTED_FROM, _COMPARED_WITH = 14, 20
_POINT_PAIR_BYTES = 128


@dataclass(frozen=True, kw_only=True)
class Projection:
    """What a larger model would take: not measured.

    Attributes:
        string_exists: whether the public ceremony has a string of that size.
    """

    dim: int
    logrows: int
    slots: int
    prove_seconds: float
    peak_gib: float
    string_exists: bool


def full(logrows: int) -> int:
    """The largest dim of a domain."""
    return (1 << logrows) - SALT_ROWS - TAIL_ROWS


def measure_growth(
    results: Results, *, runs: int, logrows: Sequence[int] = LOGROWS, tell: Callable[[str], None]
) -> None:
    """Full domains of each size with few slots, and one size with more and more slots."""
    sizes = [Size(dim=full(k), slots=_SLOTS_OF_DIMS, bits=_BITS) for k in logrows]
    sizes += [Size(dim=full(_LOGROWS_OF_SLOTS), slots=slots, bits=_BITS) for slots in SLOTS]
    for size in sizes:
        tell(f"growth: {size.slots} x {size.dim:,}")
        argument(results, size, runs=runs)


def argument(results: Results, size: Size, *, runs: int) -> Record:
    """The update argument at a size, measured once."""
    what = {"kind": "argument", "dim": size.dim, "slots": size.slots, "bits": size.bits}
    return results.once(what, lambda: measure(size, runs=runs))


def by_dim(records: Sequence[Record]) -> list[Record]:
    """Full domains with few slots, from small to large."""
    found = [r for r in records if r["kind"] == "argument" and r["dim"] == full(r["logrows"])]
    return sorted((r for r in found if (r["slots"], r["bits"]) == (_SLOTS_OF_DIMS, _BITS)), key=lambda r: r["dim"])


def by_slots(records: Sequence[Record]) -> list[Record]:
    """One full domain, from few slots to many."""
    found = [r for r in records if r["kind"] == "argument" and r["dim"] == full(_LOGROWS_OF_SLOTS)]
    return sorted((r for r in found if r["bits"] == _BITS), key=lambda r: r["slots"])


def exponent(xs: Sequence[float], ys: Sequence[float]) -> float:
    """e of y = c x^e, by least squares of the logarithms."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def exponents(records: Sequence[Record]) -> dict[str, float]:
    """Of seconds and memory against dim, from 2^14 rows on, and against slots."""
    found = {}
    for name, line, key in (
        ("dim", [r for r in by_dim(records) if r["logrows"] >= _FITTED_FROM], "dim"),
        ("slots", by_slots(records), "slots"),
    ):
        if len(line) < 2:
            continue
        sizes = [r[key] for r in line]
        found[f"prove seconds by {name}"] = exponent(sizes, [r["seconds"]["prove"]["median"] for r in line])
        found[f"commit seconds by {name}"] = exponent(sizes, [r["seconds"]["commit"]["median"] for r in line])
        found[f"peak memory by {name}"] = exponent(sizes, [r["peak_mib"] for r in line])
    return found


def linearity(records: Sequence[Record]) -> dict[int, float]:
    """Seconds a row of each domain from 2^14 rows on, over those of 2^20, once that is measured."""
    line = [r for r in by_dim(records) if r["logrows"] >= _FITTED_FROM]
    each = {r["logrows"]: r["seconds"]["prove"]["median"] / 2 ** r["logrows"] for r in line}
    return (
        {logrows: seconds / each[_COMPARED_WITH] for logrows, seconds in each.items()} if _COMPARED_WITH in each else {}
    )


def project(records: Sequence[Record], dims: Sequence[int], *, slots: int) -> list[Projection]:
    """From the largest measurement with so many slots: transforms take n log n, all else n."""
    measured = [r for r in records if r["kind"] == "argument" and (r["slots"], r["bits"]) == (slots, _BITS)]
    if not measured:
        return []
    largest = max(measured, key=lambda r: (r["logrows"], r["dim"]))
    seconds, quotient = largest["seconds"]["prove"]["median"], largest["stages"]["quotient"]["median"]
    lines = []
    for dim in dims:
        logrows = smallest_logrows(dim)
        times = 2.0 ** (logrows - largest["logrows"])
        rows = 1 << logrows
        memory = peak_bytes(logrows) + rows * (slots * math.ceil(_BITS / 8) + _POINT_PAIR_BYTES)
        lines.append(
            Projection(
                dim=dim,
                logrows=logrows,
                slots=slots,
                prove_seconds=times * (seconds - quotient + quotient * logrows / largest["logrows"]),
                peak_gib=memory / 2**30,
                string_exists=logrows <= MAX_K,
            )
        )
    return lines
