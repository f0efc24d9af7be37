"""What a trainer may try, and what it earns."""

import numpy as np
import pytest

from circuits import rules
from tests.attacks.catalogue import exists

INTAKE = "tests/aggregator/test_intake.py"
ECONOMICS = "tests/clients/test_demo_economics.py::test_attackers_are_rejected_in_every_round_and_paid_nothing"
ARGUMENT = "tests/circuits/test_update_argument.py"
HERE = "tests/attacks/test_trainer.py"

ATTACKS = {
    "sign flip": ECONOMICS,
    "scaling": f"{HERE}::test_a_scaled_update_is_rejected",
    "random update": f"{HERE}::test_a_random_update_is_rejected",
    "label flip": ECONOMICS,
    "copying another's commitment": f"{INTAKE}::test_anothers_commitment_is_refused",
    "copying another's commitment on chain": "contracts/test/Market.t.sol::test_commitRefusesACopiedCommitment",
    "copying another's bytes": f"{INTAKE}::test_anothers_commitment_is_refused",
    "negating another's commitment": "tests/clients/test_verify.py::test_a_commitment_negated",
    "free-riding with a zero update": f"{HERE}::test_a_zero_update_earns_nothing",
    "replaying an update": f"{INTAKE}::test_own_commitment_of_an_earlier_round_is_refused",
    "replaying an update on chain": "contracts/test/Market.t.sol::test_commitRefusesAReplayedCommitment",
    "out-of-range entries": f"{INTAKE}::test_entries_out_of_range_are_refused",
    "out-of-range entries, proven": f"{ARGUMENT}::TestErrors::test_a_row_out_of_range",
    "salts that leave a digit empty": f"{ARGUMENT}::test_colluders_cannot_spoil_the_sum",
    "one commitment in many tasks": "tests/aggregator/test_state.py::test_a_point_belongs_to_one_task",
    "NaN": "tests/clients/test_trainer.py::test_not_finite_training_is_an_error_and_sends_nothing",
    "splitting into two identities": "tests/contracts/test_membership.py::test_an_allow_list_lets_in_its_members_alone",
    "commit and never upload": f"{INTAKE}::test_truncated_upload_is_refused",
}

RULE = rules.load("multi_krum", "projection")
DIM, SLOTS, TRAINERS, BYZANTINE = 50, 8, 7, 2


@pytest.mark.parametrize("where", ATTACKS.values(), ids=ATTACKS.keys())
def test_there_is_a_test(where: str) -> None:
    assert exists(where)


def judged(attack: np.ndarray) -> tuple[bool, int]:
    """Whether the last trainer's update is accepted, and its score; the others go about the same way."""
    rng = np.random.default_rng(7)
    updates = np.zeros((SLOTS, DIM), dtype=np.int64)
    updates[: TRAINERS - 1] = rng.integers(20, 40, DIM) + rng.integers(-8, 9, (TRAINERS - 1, DIM))
    updates[TRAINERS - 1] = attack
    active = [1] * TRAINERS + [0] * (SLOTS - TRAINERS)
    accept, score = RULE.reference((updates @ updates.T).tolist(), active, f=BYZANTINE)
    assert sum(accept) == TRAINERS - BYZANTINE
    assert all(s > 0 for s, a in zip(score[: TRAINERS - 1], accept, strict=False) if a)
    return bool(accept[TRAINERS - 1]), score[TRAINERS - 1]


@pytest.mark.parametrize("factor", [-3, 3, 4])
def test_a_scaled_update_is_rejected(factor: int) -> None:
    assert judged(np.full(DIM, 30 * factor)) == (False, 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_random_update_is_rejected(seed: int) -> None:
    assert judged(np.random.default_rng(seed).integers(-128, 128, DIM)) == (False, 0)


def test_a_zero_update_earns_nothing() -> None:
    """It is an outlier here; and where all the others are small enough for it to be accepted, its projection is 0."""
    assert judged(np.zeros(DIM, dtype=np.int64)) == (False, 0)
    gram = [[int(i < 6 and j < 6) for j in range(SLOTS)] for i in range(SLOTS)]
    accept, score = RULE.reference(gram, [1] * TRAINERS + [0], f=0)
    assert (accept[TRAINERS - 1], score[TRAINERS - 1]) == (1, 0)
