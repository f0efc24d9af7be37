"""Results survive what interrupts a run, and nothing that is there is measured twice."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.records import Clock, Record, Results, read, spread


@given(st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=1))
def test_a_median_lies_between_the_extremes(values: list[float]) -> None:
    found = spread(values)
    assert found["low"] <= found["median"] <= found["high"]
    assert found["runs"] == len(values)
    assert found["low"] == pytest.approx(min(values), rel=1e-3)
    assert found["high"] == pytest.approx(max(values), rel=1e-3)


def test_a_run_goes_on_where_another_ended(tmp_path: Path) -> None:
    path, made = tmp_path / "results" / "some.jsonl", []

    def measure() -> Record:
        made.append(1)
        return {"seconds": len(made)}

    first = Results(path)
    first.once({"kind": "round", "slots": 4}, measure)
    first.once({"kind": "round", "slots": 8}, measure)
    with path.open("a") as file:
        file.write('{"kind": "round", "slots": 10, "sec')  # killed while it wrote

    again = Results(path, resume=True)
    assert again.once({"kind": "round", "slots": 8}, measure)["seconds"] == 2
    assert len(made) == 2
    assert again.once({"kind": "round", "slots": 10}, measure)["seconds"] == 3
    assert [record["slots"] for record in read(path)] == [4, 8, 10]
    assert all(record["machine"]["cores"] > 0 for record in read(path))


def test_without_resume_nothing_old_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    Results(path).once({"slots": 4}, dict)
    assert Results(path).all == []
    assert read(path) == []


def test_a_clock_keeps_every_run() -> None:
    clock = Clock()
    assert [clock.timed("work", lambda value=value: value) for value in (1, 2)] == [1, 2]
    assert clock.spreads()["work"]["runs"] == 2
