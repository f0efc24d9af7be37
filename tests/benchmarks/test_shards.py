"""How data are dealt: nothing twice, nothing lost, and as uneven as the shape says."""

import numpy as np
import pytest

from benchmarks.shards import SHAPES, Shape, deal
from clients.data import Samples

TRAINERS = 10


@pytest.fixture(scope="module")
def everything() -> Samples:
    """A thousand samples whose only pixel is their number."""
    numbers = np.arange(1000)
    return Samples(inputs=numbers.astype(np.float32).reshape(-1, 1), labels=numbers % 10)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_sample_is_dealt_once(everything: Samples, shape: Shape) -> None:
    world = deal(everything, TRAINERS, shape=shape, seed=1)
    parts = [world.reference, *world.shards, world.test]
    assert sorted(int(x) for part in parts for x in part.inputs[:, 0]) == list(range(1000))
    assert (len(world.test), len(world.reference), len(world.shards)) == (200, 38, TRAINERS)
    assert all((part.labels == part.inputs[:, 0] % 10).all() for part in parts)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_for_the_same_seed(everything: Samples, shape: Shape) -> None:
    first, again, other = (deal(everything, TRAINERS, shape=shape, seed=seed) for seed in (1, 1, 2))
    assert all((a.inputs == b.inputs).all() for a, b in zip(first.shards, again.shards, strict=True))
    assert any(
        len(a) != len(b) or (a.inputs != b.inputs).any() for a, b in zip(first.shards, other.shards, strict=True)
    )


def test_sizes(everything: Samples) -> None:
    even = [len(s) for s in deal(everything, TRAINERS, shape="even", seed=1).shards]
    assert max(even) - min(even) <= 1
    growing = [len(s) for s in deal(everything, TRAINERS, shape="sizes 1 to 10", seed=1).shards]
    assert growing == pytest.approx([(i + 1) * 762 / 55 for i in range(10)], abs=1)


def test_skewed_labels_are_lopsided(everything: Samples) -> None:
    def largest_label(shape: Shape) -> float:
        """Mean share of a shard's most frequent label."""
        shards = deal(everything, TRAINERS, shape=shape, seed=1).shards
        return float(np.mean([np.bincount(s.labels).max() / len(s) for s in shards]))

    assert largest_label("skewed labels") > 1.5 * largest_label("even")
