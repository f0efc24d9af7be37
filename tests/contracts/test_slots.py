"""One rule key for every number of trainers: the circuits have 32 slots, and those nobody fills are inactive."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from eth_account import Account

from circuits.bn254 import G1Point
from circuits.commitment import check_opening
from circuits.fixedpoint import FixedPoint
from circuits.linear.gram import full_matrix, padded
from circuits.model import fold
from circuits.prover import Prover
from circuits.statement import Statement
from contracts.bindings import RoundState, TransactionReverted
from contracts.bindings.devchain import anvil_chain
from tests.scene import REWARD_PER_ROUND_WEI, Round, Scene

pytestmark = pytest.mark.slow

# The smallest circuits there are at 32 slots: what is tested does not depend on the model's size.
STATEMENT = Statement(slots=32, dim=8, fmt=FixedPoint(bits=4, fraction_bits=3), rule_params={"f": 0})
FUNDS_WEI = 10**18


@pytest.fixture(scope="module")
def scene(prover: Prover) -> Iterator[Scene]:
    with anvil_chain() as local:
        full = Scene(local, prover, STATEMENT)
        full.trainers = [Account.create() for _ in range(STATEMENT.slots)]
        for trainer in full.trainers:
            full.chain.transfer(full.owner, trainer.address, FUNDS_WEI)
        yield full


@pytest.mark.parametrize("count", [3, 7, 16, 32])
def test_a_round_settles_under_the_one_rule_key(scene: Scene, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # As many outliers are removed as multi-Krum is defined for: f is a public input, and the key does not know it.
    statement = replace(STATEMENT, rule_params={"f": (count - 3) // 2})
    monkeypatch.setattr(scene, "trainers", scene.trainers[:count])
    monkeypatch.setattr(scene, "statement", statement)
    task_id = scene.open_task(rounds=1, quorum=count)
    done = scene.committed_round(task_id, 0, seed=count)
    for wrong in _wrong(done, count):
        with pytest.raises(TransactionReverted):
            scene.try_settle(task_id, 0, wrong)
    scene.market.settle_round(scene.outsider, task_id, 0, done.settlement)

    settled, task = scene.market.round(task_id, 0), scene.market.task(task_id)
    assert (settled.state, task.config.rule_vka) == (RoundState.SETTLED, scene.rule_keys.vka_digest)
    gram = padded(full_matrix(done.settlement.gram, count), statement.slots)
    accept, scores = statement.rule.reference(gram, statement.active_bits(count), **statement.rule_params)
    assert settled.accept == tuple(map(bool, accept[:count]))
    assert settled.scores == tuple(scores[:count])
    assert sum(settled.accept) == count - (count - 3) // 2
    assert settled.paid_wei == tuple(REWARD_PER_ROUND_WEI * score // sum(scores) for score in scores[:count])
    accepted = [column for column, taken in zip(done.columns, accept, strict=False) if taken]
    check_opening(fold(scene.genesis(), accepted, statement.slots), G1Point(*task.model), scene.srs)


def _wrong(done: Round, count: int) -> Iterator[object]:
    """Settlements that say something else of the last trainer, and of the first slot that nobody filled."""
    given = done.settlement
    for slot in {count - 1, min(count, STATEMENT.slots - 1)}:
        accept = tuple(np.arange(STATEMENT.slots) == slot)
        yield replace(given, accept=tuple(bool(a != b) for a, b in zip(given.accept, accept, strict=True)))
        yield replace(given, scores=tuple(s + int(x) for s, x in zip(given.scores, accept, strict=True)))
