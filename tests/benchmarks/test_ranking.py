"""Rank correlations, small: the yardsticks see what is wrong with a shard, and the table says what was found."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import ranking
from benchmarks.data import mnist_5k
from benchmarks.ranking import GTG_ROW, QUICK, YARDSTICKS, Kind, Ranking, Scale, draw, markdown, rank

FLIPPED = 3


@pytest.fixture(scope="module")
def found() -> dict[str, Ranking]:
    return {r.rule: r for r in rank(QUICK[0], 1)}


def test_wrong_labels_are_worth_least_by_every_yardstick(found: dict[str, Ranking]) -> None:
    shares = found["none+projection"].shares
    assert set(shares) == set(YARDSTICKS)
    for name, values in shares.items():
        assert min(values) == values[FLIPPED], name


def test_wrong_labels_are_paid_least(found: dict[str, Ranking]) -> None:
    for rule in ("none+projection", "none+shapley_reference", "mad+projection"):
        assert min(found[rule].scores) == found[rule].scores[FLIPPED], rule


def test_correlations_are_of_pay_and_yardstick(found: dict[str, Ranking]) -> None:
    itself = found[GTG_ROW]
    assert itself.spearman["GTG"] == pytest.approx(1)
    assert itself.kendall["GTG"] == pytest.approx(1)
    for r in found.values():
        for value in (*r.spearman.values(), *r.kendall.values()):
            assert value is None or -1 <= value <= 1
    projection = found["none+projection"]
    assert projection.spearman["exact"] is not None
    assert projection.spearman["exact"] > 0.5


def test_equal_pay_ranks_nobody(found: dict[str, Ranking]) -> None:
    assert set(found["none+equal"].spearman.values()) == {None}


def test_shards_are_what_their_kind_says() -> None:
    kinds = (
        Kind(weight=2),
        Kind(weight=2, flaw="flipped"),
        Kind(weight=2, flaw="half flipped"),
        Kind(weight=2, flaw="noise"),
        Kind(weight=0, copies=0),
    )
    spoilt = Scale(kinds=kinds)
    clean = Scale(kinds=tuple(Kind(weight=k.weight, copies=k.copies) for k in kinds))
    (_, *shards), _ = ranking._shards(spoilt, 1)
    (_, *before), _ = ranking._shards(clean, 1)
    assert shards[4] is shards[0]
    assert (shards[1].labels == 9 - before[1].labels).all()
    half = len(before[2]) // 2
    wrong = shards[2].labels != before[2].labels
    assert wrong[:half].all()
    assert not wrong[half:].any()
    assert (shards[3].labels == before[3].labels).all()
    assert np.abs(shards[3].inputs - before[3].inputs).mean() > 0.1
    assert 0 <= shards[3].inputs.min() <= shards[3].inputs.max() <= 1


def test_table_and_picture(found: dict[str, Ranking], tmp_path: Path) -> None:
    rankings = list(found.values())
    table = markdown(rankings)
    assert "| `none` + `equal` | - | - | - | - | - | - |" in table
    value = found["mad+projection"].kendall["by round"]
    row = next(line for line in table.splitlines() if line.startswith("| `mad` + `projection`"))
    assert row.split("|")[5].strip() == f"{value:.2f}"
    draw(rankings, tmp_path / "ranking.png")
    assert (tmp_path / "ranking.png").read_bytes().startswith(b"\x89PNG")


def test_mnist_5k_is_all_there() -> None:
    data = mnist_5k()
    assert data.inputs.shape == (5000, 784)
    assert (data.inputs.dtype, data.labels.dtype) == (np.float32, np.int64)
    assert np.bincount(data.labels).tolist() == [500] * 10
    assert (data.inputs.min(), data.inputs.max()) == (0, 1)
