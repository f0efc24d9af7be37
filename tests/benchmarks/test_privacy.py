"""The privacy table: what it plays is what `clients.privacy` does, and more noise costs more."""

import pytest

from benchmarks.privacy import LEVELS, PLAYED, Level, Outcome, markdown, run
from benchmarks.robustness import QUICK

SAMPLE = [Level(unit="sample", epsilon=epsilon) for epsilon in (16, 1)]


@pytest.fixture(scope="module")
def played() -> dict[float, Outcome]:
    return {level.epsilon: run(QUICK, level, "none", "half", 1) for level in (Level(), *SAMPLE)}


def test_noise_costs_accuracy(played: dict[float, Outcome]) -> None:
    assert played[1].noise_multiplier is not None
    assert played[16].noise_multiplier is not None
    assert played[1].noise_multiplier > played[16].noise_multiplier > 0
    assert min(played[float("inf")].accuracy, played[16].accuracy) > played[1].accuracy + 0.2


def test_noise_is_paid_by_projection(played: dict[float, Outcome]) -> None:
    """What docs/privacy.md warns of: a score counts the noise's own length."""
    assert played[float("inf")].private_paid == pytest.approx(0.5, abs=0.05)
    assert played[1].private_paid is not None
    assert played[1].private_paid > 0.7


def test_noise_is_not_paid_against_a_reference() -> None:
    outcome = run(QUICK, SAMPLE[1], "aligned", "half", 1)
    assert outcome.private_paid is None or outcome.private_paid < 0.5


def test_runs_repeat(played: dict[float, Outcome]) -> None:
    assert run(QUICK, SAMPLE[0], "none", "half", 1) == played[16]


def test_table_has_a_row_a_level() -> None:
    outcomes = [
        Outcome(
            level=level, rule=rule, who=who, seed=1, noise_multiplier=None, accuracy=0.5, private_accepted=1,
            others_accepted=None, private_paid=None, clipped_share=0,
        )
        for level in LEVELS for rule, who in PLAYED
    ]  # fmt: skip
    lines = markdown(outcomes).splitlines()
    assert len(lines) == 2 + len(LEVELS)
    assert len({line.count("|") for line in lines}) == 1
