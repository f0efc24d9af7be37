"""Real data without a download: scikit-learn's handwritten digits, split among trainers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASSES = 10
_DARKEST = 16.0
_TEST_SHARE = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Attributes:
    inputs: float32[n, pixels], in [0, 1].
    labels: int64[n], in [0, 10).
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.int64]) -> "Samples":
        return Samples(inputs=self.inputs[rows], labels=self.labels[rows])


def digits(*, seed: int, weights: Sequence[int]) -> tuple[list[Samples], Samples]:
    """Disjoint shards in proportion to `weights`, and a hold-out test set of one fifth; the same for the same seed."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  (a second to load, and not needed for other data)

    pixels, labels = load_digits(return_X_y=True)
    everything = Samples(inputs=(pixels / _DARKEST).astype(np.float32), labels=labels.astype(np.int64))
    return split(everything, seed=seed, weights=weights)


def split(everything: Samples, *, seed: int, weights: Sequence[int]) -> tuple[list[Samples], Samples]:
    """Disjoint random shards in proportion to `weights`, and a hold-out test set of one fifth."""
    order = np.random.default_rng(seed).permutation(len(everything))
    test_size = round(_TEST_SHARE * len(everything))
    training = order[test_size:]
    ends = np.cumsum(weights) * len(training) // sum(weights)
    shards = np.split(training, ends[:-1])
    return [everything.select(rows) for rows in shards], everything.select(order[:test_size])
