"""Tables say what the records say, and the page holds the tables of the committed results."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.records import Record, read, spread
from benchmarks.tables import Prices, Table, draw, fill, guide, machines, tables

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.jsonl"))
PARTS = (
    "quantise", "commit", "upload", "commit_round", "linear_proof", "rule_proof", "settle", "publish", "verify_linear",
    "verify_rule",
)  # fmt: skip


def a_round(**changes: object) -> Record:
    return {
        "kind": "round", "model": "some", "dim": 1000, "slots": 10, "bits": 8, "aggregator_peak_mib": 100,
        "seconds": {part: spread([1.0, 2.0, 4.0]) for part in PARTS}, "share": dict.fromkeys(PARTS, 0.1),
        "gas": {"commit_round": 100, "settle": 1000, "publish": 10, "verify_linear": 5, "verify_rule": 6},
        "calldata_bytes": {"commit_round": 20, "settle": 200, "publish": 2}, "proof_bytes": {"linear": 7, "rule": 8},
        "machine": {"cpu": "some", "cores": 2, "memory_gib": 8, "load": 0.5, "torch": "1"},
    } | changes  # fmt: skip


def test_a_guide_adds_up_a_round() -> None:
    table = guide([a_round(), a_round(slots=4)], Prices(l1_gwei=1, rollup_gwei=0.1, rollup_byte_gwei=2, ether=1e9))
    [(model, dim, trainer, aggregator, _, gas, l1, rollup)] = table.rows
    assert (model, dim, trainer, aggregator, gas) == ("some", "1,000", "6", "10", "1,110")
    assert (l1, rollup) == ("1,110.00", "555.000")


@given(st.integers(min_value=0, max_value=10**8), st.integers(min_value=0, max_value=10**6))
def test_costs_are_linear_in_what_is_paid_for(gas: int, size: int) -> None:
    prices = Prices()
    assert prices.l1(2 * gas) == pytest.approx(2 * prices.l1(gas))
    assert prices.rollup(gas, size) == pytest.approx(prices.rollup(gas, 0) + prices.rollup(0, size))


def test_only_what_is_marked_is_replaced_and_twice_is_once() -> None:
    page = "a\n<!-- some -->\nold\n<!-- /some -->\nb\n<!-- other -->\nstays\n<!-- /other -->\n"
    table = Table(name="some", title="", heads=("x", "y"), rows=[(1, r"\1")])
    once = fill(page, [table], machine="", prices=Prices())
    assert once == page.replace("old", "| x | y |\n|---|---|\n| 1 | \\1 |")
    assert fill(once, [table], machine="", prices=Prices()) == once


def test_a_picture(tmp_path: Path) -> None:
    draw([a_round()], tmp_path / "out" / "some.png")
    assert (tmp_path / "out" / "some.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_is_of_the_committed_results() -> None:
    records = [record for path in RESULTS for record in read(path)]
    assert records
    page = PAGE.read_text()
    assert fill(page, tables(records, Prices()), machine=machines(records), prices=Prices()) == page
