"""Cells of the robustness tables, small: what they say is what was played."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import robustness
from benchmarks.robustness import CONTENDERS, NONE, QUICK, Contender, Outcome, fitting, markdown, run
from benchmarks.shards import SHAPES
from clients.attacks import ATTACKS
from clients.attacks.backdoor import Backdoor

UNGUARDED, KRUM = Contender(outlier="none"), Contender(outlier="multi_krum", params=(("f", 2),))


@pytest.fixture(scope="module")
def flipped() -> dict[str, Outcome]:
    return {c.outlier: run(QUICK, c, "sign_flip", 1) for c in (UNGUARDED, KRUM)}


def test_without_a_rule_a_sign_flip_harms(flipped: dict[str, Outcome]) -> None:
    outcome = flipped["none"]
    assert (outcome.attackers_accepted, outcome.honest_accepted) == (1, 1)
    assert outcome.kept < 0.9
    assert outcome.paid_share is not None
    assert outcome.paid_share["equal"] == pytest.approx(0.2)


def test_with_multi_krum_it_does_not(flipped: dict[str, Outcome]) -> None:
    outcome = flipped["multi_krum"]
    assert (outcome.attackers_accepted, outcome.honest_accepted) == (0, 1)
    assert outcome.kept > 0.98
    assert outcome.paid_share is not None
    assert set(outcome.paid_share.values()) == {0}


def test_nobody_attacks_where_there_is_no_attack() -> None:
    outcome = run(QUICK, UNGUARDED, NONE, 1)
    assert outcome.attackers_accepted is outcome.paid_share is outcome.backdoor is None
    assert outcome.kept == pytest.approx(1, abs=0.02)
    assert outcome.clipped_share < 0.01


def test_the_same_for_the_same_seed() -> None:
    assert run(QUICK, KRUM, "gaussian", 1) == run(QUICK, KRUM, "gaussian", 1)


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda c: c.label)
def test_every_rule_plays(contender: Contender) -> None:
    outcome = run(replace(QUICK, rounds=1), contender, "alie", 1)
    assert outcome.paid_share is not None
    assert tuple(outcome.paid_share) == fitting(contender.outlier)
    assert 0 <= outcome.honest_accepted <= 1


def test_only_rules_that_can_share_an_anchor_are_combined() -> None:
    assert "shapley_reference" in fitting("aligned")
    assert "shapley_reference" not in fitting("cross_round")
    assert set(fitting("cross_round")) < set(fitting("none"))


def test_a_backdoor_is_measured_on_other_labels_alone() -> None:
    test, attack = robustness.world(QUICK, 1, "even").test, Backdoor()
    always = np.concatenate([np.zeros(640), np.eye(10)[attack.target]])
    never = np.concatenate([np.zeros(640), np.eye(10)[attack.target + 1]])
    assert robustness._triggered(attack, always, test) == 1
    assert robustness._triggered(attack, never, test) == 0


def outcome(attack: str, **changes: object) -> Outcome:
    fields: dict[str, object] = {
        "contender": "rule",
        "attack": attack,
        "shape": "even",
        "seed": 1,
        "attackers_accepted": 0.5,
        "honest_accepted": 1.0,
        "kept": 1.0,
        "accuracy": 0.9,
        "paid_share": {"equal": 0.0},
        "backdoor": None,
        "clipped_share": 0.0,
    }
    return Outcome(**(fields | changes))  # type: ignore[arg-type]


def cells_of(outcomes: list[Outcome], title: str) -> list[str]:
    """The cells of the one row of a table."""
    table = markdown(outcomes).split(title)[1].split("\n\n")[1]
    return [cell.strip() for cell in table.splitlines()[2].split("|")[2:-1]]


@pytest.mark.parametrize(
    ("title", "changes", "cell"),
    [
        ("Accuracy kept", {"kept": 0.981}, "98.1"),
        ("Accuracy kept", {"kept": 0.979}, "**97.9**"),
        ("Pay taken", {"paid_share": {"equal": 0.049}}, "4.9"),
        ("Pay taken", {"paid_share": {"equal": 0.051}}, "**5.1**"),
        ("Pay taken", {"paid_share": {"equal": None}}, "nobody"),
        ("Honest updates", {"honest_accepted": 0.91}, "91"),
        ("Honest updates", {"honest_accepted": 0.89}, "**89**"),
        ("Attackers' updates", {"attackers_accepted": 0.25}, "25"),
    ],
)
def test_cells_where_a_rule_fails_are_marked(title: str, changes: dict[str, object], cell: str) -> None:
    assert cells_of([outcome("alie", **changes)], title) == [cell]


def test_uneven_shards_have_a_table_of_their_own() -> None:
    runs = [outcome(NONE), outcome(NONE, shape="skewed labels", honest_accepted=0.5), outcome("alie")]
    assert cells_of(runs, "Without attack") == ["100", "100.0", "**50**", "100.0"]
    assert cells_of(runs, "Honest updates accepted, %**") == ["100", "100"]


def test_sybils_may_earn_what_their_one_trainer_earns() -> None:
    shares = [{"equal": 0.11}, {"equal": 0.12}]
    assert [cells_of([outcome("sybil_split", paid_share=s)], "Pay taken")[0] for s in shares] == ["11.0", "**12.0**"]


def test_cells_are_means_over_seeds() -> None:
    runs = [outcome("alie", seed=seed, kept=kept) for seed, kept in ((1, 0.9), (2, 1.0))]
    assert cells_of(runs, "Accuracy kept") == ["**95.0**"]


@pytest.mark.slow
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["robustness", "--quick", "--json", str(tmp_path / "runs.json")])
    robustness.main()
    printed = capsys.readouterr().out
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert len(runs) == len(CONTENDERS) * (len(ATTACKS) + len(SHAPES))
    assert all(f"`{contender.label}`" in printed for contender in CONTENDERS)
    assert all(name.replace("_", " ") in printed for name in ATTACKS)
