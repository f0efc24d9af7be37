"""What follows from a settled round for the next: the learning rate, and whether training has met its target.

Everything is computed from proven integers, so that anyone recomputes what the contract records.
"""

from collections.abc import Sequence
from typing import NamedTuple

from circuits.errors import FieldError

RATE_UNITS = 1 << 32
"""A learning rate is an integer in units of 2^-32."""
MAX_RATE = (1 << 64) - 1
MAX_HALVINGS = 64
"""Where every rate of 64 bits is 0."""


class Pace(NamedTuple):
    """What `halve_on_plateau` remembers.

    Attributes:
        best_norm, best_count: the lowest |A|^2 / n^2 so far, as |A|^2 and n; n = 0 before the first.
        stale: rounds without progress since then, or since the last halving.
        halvings: how often the rate was halved, at most 64.
    """

    best_norm: int = 0
    best_count: int = 0
    stale: int = 0
    halvings: int = 0


def norm(gram: Sequence[Sequence[int]], accept: Sequence[int]) -> tuple[int, int]:
    """(|A|^2, n): the squared norm of the sum A of the accepted updates, and their number.

    Args:
        gram: the symmetric matrix of inner products, [slots][slots].
        accept: 1 for an accepted slot, at most one entry a slot.
    Raises:
        FieldError: there are more of them.
    """
    if len(accept) > len(gram):
        raise FieldError("accept", f"{len(accept)} entries", f"there are {len(gram)} slots")
    accepted = [i for i, taken in enumerate(accept) if taken]
    total = sum(int(gram[i][j]) for i in accepted for j in accepted)
    # A proven matrix makes it a square; the contract, which does not know, takes what is below 0 for 0.
    return max(0, total), len(accepted)


def halve_on_plateau(pace: Pace, *, patience: int, norm: int, count: int) -> Pace:
    """The memory after a round; with patience 0 the rule is `constant`, and it never changes.

    With v = norm / count^2: if v is below the lowest so far, it becomes the lowest; otherwise, and when nobody was
    accepted, the round is stale. After `patience` stale rounds in a row the rate is halved, and the count starts again.
    """
    if patience == 0:
        return pace
    progress = norm * pace.best_count**2 < pace.best_norm * count**2
    if count and (progress or not pace.best_count):
        return pace._replace(best_norm=norm, best_count=count, stale=0)
    if pace.stale + 1 < patience:
        return pace._replace(stale=pace.stale + 1)
    return pace._replace(stale=0, halvings=min(pace.halvings + 1, MAX_HALVINGS))


def learning_rate(first: int, halvings: int) -> int:
    """floor(first / 2^halvings), in units of 2^-32."""
    return first >> halvings


def is_met(target_norm: int, *, norm: int, count: int) -> bool:
    """Whether a round ends the task: |A|^2 / n^2 <= target_norm, for a target that is not 0 and n > 0."""
    return bool(target_norm and count and norm <= target_norm * count**2)


def to_units(rate: float) -> int:
    """A learning rate as the contract takes it, rounded to units of 2^-32.

    Raises:
        FieldError: it is negative, not finite, positive and rounded to 0, or 2^32 and more.
    """
    units = round(rate * RATE_UNITS) if 0 <= rate < RATE_UNITS else -1
    if not 0 <= units <= MAX_RATE or (units == 0) != (rate == 0):
        raise FieldError("learning_rate", rate, "it must be 0, or from 2^-32 to below 2^32")
    return units


def from_units(rate: int) -> float:
    """The inverse of `to_units`, as a float."""
    return rate / RATE_UNITS
