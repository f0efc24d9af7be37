"""The reference names everything that there is to configure or to be refused for."""

import json
import re
from pathlib import Path

import pytest

from circuits import rules
from clients.demo.summary import RoundSummary, Summary, TrainerSummary
from contracts.bindings import artifacts
from contracts.bindings.market_errors import MarketError

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


@pytest.mark.parametrize("kind", [Summary, RoundSummary, TrainerSummary])
def test_every_field_of_a_summary(kind: type) -> None:
    assert [name for name in kind.model_fields if f"`{name}`" not in REFERENCE] == []


def test_every_error_of_the_contract() -> None:
    assert [kind.__name__ for kind in MarketError.__subclasses__() if f"| {kind.__name__} |" not in REFERENCE] == []


def test_every_term_of_a_task() -> None:
    create = next(entry for entry in artifacts.market().abi if entry.get("name") == "createTask")
    assert [term["name"] for term in create["inputs"][0]["components"] if f"`{term['name']}`" not in REFERENCE] == []


def test_gas_is_what_was_measured() -> None:
    explanation = (ROOT / "docs" / "explanation.md").read_text()
    measured = json.loads((ROOT / "contracts" / "snapshots" / "Round.json").read_text())
    assert len(measured) == 6
    for slots in (8, 16, 32):
        commit, settle = (int(measured[f"{call}, {slots} slots"]) for call in ("commitRound", "settleRound"))
        assert f"| {slots} | {commit:,} | {commit // slots:,} | {settle:,} |" in explanation


def test_every_rule() -> None:
    assert [name for name in [*rules.OUTLIER_RULES, *rules.CONTRIBUTION_RULES] if f"`{name}`" not in REFERENCE] == []


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
