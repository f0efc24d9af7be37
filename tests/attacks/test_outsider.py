"""What somebody without any role may try."""

import pytest

from tests.attacks.catalogue import exists

INTAKE = "tests/aggregator/test_intake.py"
MACHINE = "tests/aggregator/test_machine.py"
LAST = "tests/aggregator/test_last_model.py"
MARKET = "contracts/test/Market.t.sol"
PAYMENTS = "contracts/test/Payments.t.sol"

ATTACKS = {
    "replay of a settlement": "tests/attacks/test_settlement.py::TestReplay::test_the_same_round_again",
    "replay of a signature": f"{MARKET}::test_commitRefusesEverySignatureButTheTrainersOnThisUpdate",
    "replay on another chain": "contracts/test/Commitments.t.sol::test_digestFollowsTheChain",
    "front-running a settle": "tests/attacks/test_settlement.py::TestReplay::test_effects_are_the_proven_ones",
    "front-running a settle, to the aggregator": f"{MACHINE}::test_settlement_by_somebody_else_is_taken_as_done",
    "front-running a withdrawal": f"{PAYMENTS}::test_withdrawPaysOnceAndAnyoneMayTriggerIt",
    "using up a trainer's point": f"{MARKET}::test_commitmentsOfTwoTasksDoNotMeet",
    "oversized messages": f"{INTAKE}::test_message_over_the_transports_limit_is_refused",
    "truncated messages": f"{INTAKE}::test_truncated_upload_is_refused",
    "slow uploads": f"{INTAKE}::test_idle_upload_is_ended",
    "a flood": f"{INTAKE}::test_more_uploads_than_the_limit_are_refused",
    "a flood of strangers": f"{INTAKE}::test_strangers_take_no_place",
    "unsigned calls": f"{INTAKE}::test_signature_is_refused",
    "expired calls": f"{INTAKE}::test_late_update_is_refused",
    "a settlement without the last model's key": f"{LAST}::test_a_settlement_by_somebody_else_is_followed_by_the_key",
    "calls after a window": f"{MARKET}::test_settleWithinItsWindow",
    "joining unasked": "tests/contracts/test_membership.py::test_an_allow_list_lets_in_its_members_alone",
    "re-entrancy through a token": f"{PAYMENTS}::test_tokensCannotReenter",
    "re-entrancy through a payee": f"{PAYMENTS}::test_reentrantPayeeIsPaidOnce",
    "a payee that refuses": f"{PAYMENTS}::test_refusingPayeeHarmsOnlyItself",
    "a task that hides others": "tests/contracts/test_market.py::test_a_rule_name_that_is_no_text",
    "a bundle that is a bomb": "tests/clients/test_verify.py::test_malformed_files_never_pass",
}


@pytest.mark.parametrize("where", ATTACKS.values(), ids=ATTACKS.keys())
def test_there_is_a_test(where: str) -> None:
    assert exists(where)
