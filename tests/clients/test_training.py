"""Training that is the same each time, on shards that are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from clients.baseline import trained
from clients.config import TrainerConfig
from clients.data import Samples, digits
from clients.parameters import flatten, unflatten
from clients.run import training_of
from clients.training import Recipe, accuracy, softmax_regression, train_local

WEIGHTS = (1, 2, 3, 4, 5, 6, 7, 8)


@pytest.fixture(scope="module")
def shards() -> list[Samples]:
    return digits(seed=1, weights=WEIGHTS)[0]


def test_demo_model_has_650_parameters() -> None:
    vector = flatten(softmax_regression())
    assert (vector.shape, vector.dtype) == ((650,), np.float64)
    assert not vector.any()


def test_training_is_the_same_each_time_whatever_the_global_seed(shards: list[Samples]) -> None:
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        results.append(trained(np.zeros(650), shards[3], Recipe(seed=5), 0))
    assert (results[0] == results[1]).all()


def test_another_round_goes_through_the_data_in_another_order(shards: list[Samples]) -> None:
    first, second = (trained(np.zeros(650), shards[3], Recipe(seed=5), round) for round in (0, 1))
    assert (first != second).any()


def test_training_leaves_the_thread_count_alone(shards: list[Samples]) -> None:
    before = torch.get_num_threads()
    train_local(softmax_regression(), shards[0], Recipe(epochs=1))
    assert torch.get_num_threads() == before


def test_shards_are_disjoint_unequal_and_the_same_for_a_seed() -> None:
    shards, test = digits(seed=3, weights=WEIGHTS)
    again, _ = digits(seed=3, weights=WEIGHTS)
    sizes = [len(shard) for shard in shards]
    assert sizes == sorted(set(sizes))
    assert sum(sizes) + len(test) == 1797
    rows = [row.tobytes() for part in (*shards, test) for row in part.inputs]
    everything, _ = digits(seed=4, weights=(1,))
    # The data set itself holds no row twice, so neither do the parts.
    assert len(set(rows)) == len(rows) == 1797
    assert all((a.inputs == b.inputs).all() for a, b in zip(shards, again, strict=True))
    assert everything[0].inputs.min() >= 0
    assert everything[0].inputs.max() <= 1


def test_a_task_may_set_the_learning_rate(tmp_path: Path) -> None:
    """Whatever the trainer's recipe says; attackers are no exception."""
    fields = {"rpc_url": "", "market": "", "aggregator_target": "", "directory": tmp_path, "task_id": 1, "shard": 0}
    start = np.zeros(650)
    for behaviour in ("honest", "label_flip", "sign_flip"):
        slow, fast = (
            training_of(
                TrainerConfig.model_validate(fields | {"behaviour": behaviour, "recipe": {"learning_rate": rate}})
            )
            for rate in (0.1, 0.5)
        )
        assert (slow(start, 0, 0.5) == fast(start, 0, None)).all()
        assert (slow(start, 0, 0.5) != slow(start, 0, None)).any()
        assert (slow(start, 0, 0.0) == start).all()


def test_accuracy_counts_correct_labels(shards: list[Samples]) -> None:
    model = softmax_regression()
    unflatten(model, np.concatenate([np.zeros(640), np.eye(10)[7]]))
    assert accuracy(model, shards[7]) == pytest.approx((shards[7].labels == 7).mean())
