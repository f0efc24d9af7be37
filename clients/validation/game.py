"""Cooperative games: a value for each coalition of players."""

from collections.abc import Callable

Coalition = frozenset[int]
Value = Callable[[Coalition], float]
"""Value of a coalition of the players 0..n-1."""


def remembered(value: Value) -> Value:
    """The same game, which computes the value of each coalition once."""
    known: dict[Coalition, float] = {}

    def recall(coalition: Coalition) -> float:
        if coalition not in known:
            known[coalition] = value(coalition)
        return known[coalition]

    return recall
