"""A market without proofs is the market: the same integers, the same pay."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from benchmarks import simulation
from benchmarks.simulation import REWARD_PER_ROUND_WEI, Cast, Run, Terms, play
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.rules.base import Anchor
from clients.attacks import Attack, Scene
from clients.attacks.base import Updates
from clients.local_training import LocalTraining

FORMAT = FixedPoint(bits=8, fraction_bits=4)
UNIT = 2.0**-4
DIM = 3


def step(*sizes: float) -> LocalTraining:
    return lambda parameters, *_: parameters + np.array(sizes)


def terms(outlier: str = "none", *contributions: str, **params: int) -> Terms:
    return Terms(fmt=FORMAT, outlier=outlier, params=params, contributions=contributions or ("equal", "projection"))


def cast(*trains: LocalTraining, **changes: Any) -> Cast:
    return Cast(trains=trains, reference=step(1, 1, 1), **changes)


def run(who: Cast, what: Terms, rounds: int = 2) -> Run:
    return play(who, what, np.zeros(DIM), rounds=rounds, seed=1)


STEPS = ((0.5, 0.25, 0), (0.25, 0.25, 0), (1, -0.5, 0.125))


def test_the_model_is_the_exact_mean_of_the_accepted() -> None:
    played = run(cast(*(step(*s) for s in STEPS)), terms())
    assert played.rounds[0].accept == [1, 1, 1]
    assert (played.rounds[0].changes == np.array(STEPS)).all()
    assert played.final == pytest.approx(2 * np.mean(STEPS, axis=0), abs=1e-12)


def test_pay_is_the_reward_split_by_score() -> None:
    played = run(cast(*(step(*s) for s in STEPS)), terms())
    units = np.array(STEPS) / UNIT
    expected = np.maximum(0, units @ units.sum(axis=0)).astype(int)
    assert played.rounds[0].scores["projection"] == expected.tolist()
    paid = [2 * (REWARD_PER_ROUND_WEI * int(e) // int(expected.sum())) for e in expected]
    assert played.paid_wei("projection") == paid
    assert played.paid_wei("equal") == [2 * (REWARD_PER_ROUND_WEI // 3)] * 3


def test_nobody_is_paid_where_all_scores_are_zero() -> None:
    played = run(cast(step(0, 0, 0), step(0, 0, 0), step(0, 0, 0)), terms())
    assert played.paid_wei("projection") == [0, 0, 0]


def test_what_rounding_took_is_sent_later() -> None:
    played = run(cast(*[step(0.4 * UNIT, 0, 0)] * 3), terms(), rounds=5)
    sent = [r.changes[0, 0] / UNIT for r in played.rounds]
    assert sent == [0, 1, 0, 1, 0]
    assert played.final[0] == pytest.approx(2 * UNIT)


@dataclass(frozen=True)
class Probe(Attack):
    """Notes what it is given, and sends ones."""

    name = "probe"
    scenes: list[Scene] = field(default_factory=list)

    def craft(self, scene: Scene) -> Updates:
        self.scenes.append(scene)
        return np.ones_like(scene.own)


def test_attackers_know_the_honest_updates_and_the_public_models() -> None:
    probe = Probe()
    who = cast(*(step(*s) for s in STEPS), attackers=(1,), attack=probe)
    played = run(who, terms())
    first, second = probe.scenes
    assert first.own.tolist() == [list(STEPS[1])]
    assert first.seen.tolist() == [list(STEPS[0]), list(STEPS[2])]
    assert first.previous.tolist() == [0, 0, 0]
    assert second.previous == pytest.approx(played.rounds[1].start)
    assert (played.rounds[0].changes[1] == 1).all()


@pytest.mark.parametrize(
    ("anchor", "norms"), [(Anchor.NONE, []), (Anchor.REFERENCE, [768, 768]), (Anchor.PREVIOUS_SUM, [0, 788])]
)
def test_slot_0_holds_the_anchor_that_the_rule_wants(
    anchor: Anchor, norms: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    class Recorder:
        def __init__(self) -> None:
            self.anchor = anchor

        def limits(self, slots: int, dim: int, bits: int) -> None:
            assert (slots, dim, bits) == (3 + len(norms[:1]), DIM, 8)

        def reference(self, gram: list[list[int]], active: list[int]) -> tuple[list[int], list[int]]:
            assert active == [0] * len(norms[:1]) + [1, 1, 1]
            found.extend([gram[0][0]] if norms else [])
            assert [gram[i][i] for i in range(len(gram))][-3:] == [80, 32, 324]
            return active, active

    monkeypatch.setattr(simulation.rules, "load", lambda outlier, contribution: Recorder())
    run(cast(*(step(*s) for s in STEPS)), terms("none", "equal"))
    assert found == norms


def test_what_could_not_be_proven_is_not_played() -> None:
    with pytest.raises(FieldError, match="f"):
        run(cast(*(step(*s) for s in STEPS)), terms("multi_krum", f=2))
    with pytest.raises(FieldError, match="slots"):
        run(cast(*[step(0, 0, 0)] * 33), terms())


def test_clipping_is_reported() -> None:
    played = run(cast(step(100, 0, 0), step(0, 0, 0), step(0, 0, 0)), terms(), rounds=1)
    assert played.rounds[0].clipped_share == pytest.approx(1 / 3)
