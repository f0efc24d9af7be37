"""Shapley values, exactly: every coalition is asked."""

import math
from itertools import combinations

from circuits.errors import FieldError
from clients.validation.game import Value, remembered

MAX_PLAYERS = 16
"""65,536 coalitions."""


def exact_shapley(players: int, value: Value) -> list[float]:
    """phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! * (v(S + i) - v(S)), one a player.

    Source: Shapley, "A Value for n-Person Games", 1953. `value` is asked once for each of 2^players coalitions.

    Raises:
        FieldError: more than 16 players.
    """
    if not 1 <= players <= MAX_PLAYERS:
        raise FieldError("players", players, f"it must lie in [1, {MAX_PLAYERS}]")
    value = remembered(value)
    shares = []
    for player in range(players):
        others = [i for i in range(players) if i != player]
        share = 0.0
        for size in range(players):
            weight = 1 / (players * math.comb(players - 1, size))
            for members in combinations(others, size):
                without = frozenset(members)
                share += weight * (value(without | {player}) - value(without))
        shares.append(share)
    return shares
