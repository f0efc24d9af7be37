"""The page of tables names every attack and every rule that was played, and its commands exist."""

import importlib
import re
from pathlib import Path

from benchmarks.ranking import GTG_ROW
from benchmarks.robustness import CONTENDERS, fitting
from clients.attacks import ATTACKS
from clients.attacks.group import parse

PAGE = (Path(__file__).parents[2] / "docs" / "robustness.md").read_text()


def test_every_attack() -> None:
    assert [name for name in ATTACKS if f"| `{name}` |" not in PAGE] == []
    headings = [line for line in PAGE.splitlines() if line.startswith("|  | sign flip")]
    assert len(headings) == 2
    assert [name for name in ATTACKS if any(name.replace("_", " ") not in line for line in headings)] == []


def test_every_rule() -> None:
    rows = [f"`{c.label}` + `{contribution}`" for c in CONTENDERS for contribution in fitting(c.outlier)]
    assert [row for row in rows if f"| {row} |" not in PAGE] == []
    assert f"| {GTG_ROW} |" in PAGE


def test_commands_can_be_typed() -> None:
    modules = re.findall(r"python -m (benchmarks\.\w+)", PAGE)
    assert set(modules) == {"benchmarks.robustness", "benchmarks.ranking"}
    assert all(hasattr(importlib.import_module(name), "main") for name in modules)
    attacks = re.findall(r"--attack (\S+)", PAGE)
    assert [parse(text).name for text in attacks] == ["alie", "sybil_split", "backdoor"]
