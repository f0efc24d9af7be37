"""The contract's learning rate and target against their definition, round by round on both chains."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circuits.linear.gram import full_matrix
from circuits.rules.pace import Pace, halve_on_plateau, is_met, learning_rate, norm
from contracts.bindings import TaskState
from tests.contracts.conftest import World

pytestmark = pytest.mark.slow

TRAINERS = 3
# Small entries, so that rounds tie; and the largest that a proof can have.
ENTRIES = st.integers(-3, 3) | st.sampled_from([2**62 - 1, 1 - 2**62])
TRIANGLE = TRAINERS * (TRAINERS + 1) // 2
GRAMS = st.lists(ENTRIES, min_size=TRIANGLE, max_size=TRIANGLE)
ACCEPTED = st.lists(st.booleans(), min_size=TRAINERS, max_size=TRAINERS)
ROUNDS = st.lists(st.tuples(GRAMS, ACCEPTED), min_size=1, max_size=6)


@given(
    rounds=ROUNDS,
    patience=st.integers(0, 3),
    target=st.just(0) | st.integers(1, 3) | st.just(2**62),
    rate=st.integers(1, 2**64 - 1),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_contract_keeps_the_same_pace(
    world: World, rounds: list[tuple[list[int], list[bool]]], patience: int, target: int, rate: int
) -> None:
    market = world.market
    changes = {"patience": patience, "learning_rate": rate, "target_norm": target}
    task_id = world.opened(TRAINERS, rounds=len(rounds) + 1, **changes)
    pace = Pace()
    for number, (gram, accept) in enumerate(rounds):
        submissions = world.commit(task_id, number, TRAINERS, rounds=len(rounds) + 1)
        given = replace(world.settlement(submissions, (0,) * TRAINERS), gram=tuple(gram), accept=tuple(accept))
        market.settle_round(world.anyone, task_id, number, given)
        total, count = norm(full_matrix(gram, TRAINERS), accept)
        pace = halve_on_plateau(pace, patience=patience, norm=total, count=count)

        task, settled = market.task(task_id), market.round(task_id, number)
        assert task.pace == pace
        assert task.learning_rate == learning_rate(rate, pace.halvings)
        assert (settled.norm, settled.halvings) == (total if target or patience else 0, pace.halvings)
        met = is_met(target, norm=total, count=count)
        assert (task.state is TaskState.CLOSED) == met
        if met:
            return
