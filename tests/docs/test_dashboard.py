"""The bundled dashboard asks for nothing that no aggregator counts, and shows all that one does."""

import json
import re
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from aggregator.metrics import Metrics

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "docs" / "grafana" / "meritproof.json").read_text())
PAGE = (ROOT / "docs" / "observability.md").read_text()
_SUFFIXES = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}


def exported() -> dict[str, list[str]]:
    """Names that a scrape has, by metric, with the labels of each."""
    registry = Metrics().registry
    found: dict[str, list[str]] = {}
    for collector in list(registry._collector_to_names):
        for family in collector.collect():
            for suffix in _SUFFIXES.get(type(collector), ("",)):
                found[family.name + suffix] = list(getattr(collector, "_labelnames", ()))
    return {**found, "process_cpu_seconds_total": []}


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def test_every_metric_of_the_dashboard_exists() -> None:
    names = exported()
    asked = {name for expr in expressions() for name in re.findall(r"\b(?:merit|process)_\w+", expr)}
    assert len(asked) > 12
    assert [name for name in sorted(asked) if name not in names] == []


def test_every_label_of_the_dashboard_exists() -> None:
    names = exported()
    for expr in expressions():
        (metric,) = re.findall(r"\b(?:merit|process)_\w+", expr)
        grouped = [label for group in re.findall(r"by \(([^)]*)\)", expr) for label in re.split(r",\s*", group)]
        matched = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', expr)
        assert set(grouped + matched) <= {*names[metric], "le", "instance"}, expr


def test_everything_that_is_counted_is_shown_and_documented() -> None:
    shown = " ".join(expressions())
    ours = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in exported() if name.startswith("merit_")}
    assert [name for name in sorted(ours) if name not in shown] == []
    assert [name for name in sorted(ours) if name not in PAGE] == []


def test_names_carry_their_units() -> None:
    """What is neither a number of things nor a yes or no ends with its unit."""
    plain = {
        "merit_calls_running",
        "merit_chain_up",
        "merit_proof_jobs",
        "merit_round",
        "merit_round_step",
        "merit_tasks",
    }
    units = ("_seconds", "_bytes", "_total", "_bucket", "_sum", "_count")
    assert [name for name in exported() if name.startswith("merit_") and not name.endswith(units)] == sorted(
        plain, key=list(exported()).index
    )


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
