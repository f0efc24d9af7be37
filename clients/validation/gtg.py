"""GTG-Shapley: Shapley values of one round by guided sampling of permutations, with truncation.

Source: Liu et al., "GTG-Shapley: Efficient and Accurate Participant Contribution Evaluation in Federated Learning",
ACM TIST 13(4), 2022.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clients.validation.game import Value, remembered


@dataclass(frozen=True, kw_only=True)
class GtgShapley:
    """The constants of the method.

    Attributes:
        between_rounds: a round that moves the value by no more than this gives nobody anything.
        within_round: the rest of a permutation adds nothing once the value is closer than this to that of all.
        fewest_permutations: sampled before convergence is looked at.
        window: of running means that must have settled.
        tolerance: mean relative difference between a running mean of the window and the last one, at most.
        most_permutations: ends the sampling of games that do not settle.
    """

    between_rounds: float = 0.01
    within_round: float = 0.001
    fewest_permutations: int = 30
    window: int = 10
    tolerance: float = 0.05
    most_permutations: int = 2_000

    def round(self, players: int, value: Value, *, seed: int) -> list[float]:
        """Estimates of the Shapley values of a round, one a player; the same for the same seed.

        Args:
            value: of the model that a coalition's updates would have given; that of nobody is the round's start.
        """
        value = remembered(value)
        everyone, start = value(frozenset(range(players))), value(frozenset())
        if abs(everyone - start) <= self.between_rounds:
            return [0.0] * players
        rng = np.random.default_rng(seed)
        total, means = np.zeros(players), []
        for number in range(self.most_permutations):
            total += self._marginals(_guided(players, number, rng), value, everyone)
            means.append(total / (number + 1))
            if number + 1 >= self.fewest_permutations and self._settled(means):
                break
        return [float(x) for x in means[-1]]

    def _marginals(self, order: list[int], value: Value, everyone: float) -> NDArray[np.float64]:
        """float64[players]: what each player adds when it joins those before it."""
        added, joined = np.zeros(len(order)), frozenset[int]()
        before = value(joined)
        for player in order:
            joined |= {player}
            after = before if abs(everyone - before) < self.within_round else value(joined)
            added[player] = after - before
            before = after
        return added

    def _settled(self, means: list[NDArray[np.float64]]) -> bool:
        recent, last = np.stack(means[-self.window :]), means[-1]
        size = np.abs(last)
        changes = np.abs(recent - last) / np.where(size > 0, size, 1)
        return bool(changes.mean(axis=1).max() <= self.tolerance)


def _guided(players: int, number: int, rng: np.random.Generator) -> list[int]:
    """A permutation that begins with each player in turn and goes on at random."""
    first = number % players
    rest = [i for i in range(players) if i != first]
    return [first, *(int(i) for i in rng.permutation(rest))]
