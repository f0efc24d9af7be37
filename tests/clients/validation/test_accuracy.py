"""The value of a coalition in a round."""

import numpy as np

from clients.validation.accuracy import of_round


def test_the_mean_of_the_coalitions_updates_is_evaluated() -> None:
    start, changes = np.array([1.0, 2.0]), np.array([[3.0, 0.0], [5.0, 4.0], [100.0, 100.0]])
    seen: list[list[float]] = []

    def evaluate(parameters: np.ndarray) -> float:
        seen.append(parameters.tolist())
        return 0.5

    value = of_round(start, changes, evaluate)
    assert [value(frozenset(c)) for c in ((), (1,), (0, 1))] == [0.5] * 3
    assert seen == [[1, 2], [6, 6], [5, 4]]
