"""`merit rules`."""

import json

import pytest
from typer.testing import CliRunner

from circuits import rules
from clients.cli import app
from process.exits import Exit

runner = CliRunner()


def test_every_rule_is_listed() -> None:
    plain = runner.invoke(app, ["rules", "list"], env={"COLUMNS": "200"})
    listed = json.loads(runner.invoke(app, ["rules", "list", "--json"]).stdout)
    assert [rule["name"] for rule in listed["outlier"]] == list(rules.OUTLIER_RULES)
    assert [rule["name"] for rule in listed["contribution"]] == list(rules.CONTRIBUTION_RULES)
    assert all(rule["formula"] and rule["source"] for kind in listed.values() for rule in kind)
    assert all(name in plain.stdout for name in (*rules.OUTLIER_RULES, *rules.CONTRIBUTION_RULES))


@pytest.mark.parametrize("name", [*rules.OUTLIER_RULES, *rules.CONTRIBUTION_RULES, "multi_krum+shapley"])
def test_a_rule_is_shown_with_its_limits(name: str) -> None:
    plain = runner.invoke(app, ["rules", "show", name], env={"COLUMNS": "200"})
    assert plain.exit_code == 0
    shown = json.loads(runner.invoke(app, ["rules", "show", name, "--json"]).stdout)
    assert [part["name"] for part in shown["parts"]] == name.split("+")
    for part in shown["parts"]:
        assert part["formula"] in plain.stdout
        assert all(f"{p['name']} in [{p['low']}, {p['high']}]" in plain.stdout for p in part["parameters"])
    outlier, _, contribution = name.partition("+")
    if contribution:
        rule = rules.load(outlier, contribution)
        for size in shown["sizes"]:
            dim = size["largest_dim"]["8"]
            rule.limits(size["slots"], dim, 8)
            with pytest.raises(ValueError, match="dim"):
                rule.limits(size["slots"], dim + 1, 8)


def test_an_unknown_rule_is_one_line() -> None:
    result = runner.invoke(app, ["rules", "show", "fame"])
    assert result.exit_code == Exit.CONFIGURATION
    assert "multi_krum" in result.stderr
