"""What an aggregator may try. Nearly all of it ends at the contract, with real proofs, in test_settlement.py."""

import pytest

from tests.attacks.catalogue import exists

SETTLEMENT = "tests/attacks/test_settlement.py"
CLIENTS = "tests/clients/test_trainer.py"
LAST = "tests/aggregator/test_last_model.py"
MARKET = "tests/contracts/test_market.py"

ATTACKS = {
    "wrong Gram": f"{SETTLEMENT}::TestGram::test_an_entry_off_by_one",
    "two Grams": f"{SETTLEMENT}::TestGram::test_a_rule_proof_of_a_better_gram",
    "swapped commitments": f"{SETTLEMENT}::TestCommitments::test_points_swapped_against_the_round",
    "swapped columns": f"{SETTLEMENT}::TestCommitments::test_a_valid_proof_over_swapped_columns",
    "dropped commitments": f"{SETTLEMENT}::TestCommitments::test_a_trainer_dropped",
    "other columns": f"{SETTLEMENT}::TestCommitments::test_a_proof_about_another_column",
    "a filled empty slot": f"{SETTLEMENT}::TestCommitments::test_a_proof_about_a_slot_that_nobody_filled",
    "something in an empty slot": f"{SETTLEMENT}::TestGram::test_a_rule_proof_with_something_in_an_empty_slot",
    "another task's settlement": f"{SETTLEMENT}::TestReplay::test_in_another_task",
    "another task's proof, same updates": f"{SETTLEMENT}::TestContext::test_in_another_task_with_the_same_updates",
    "a proof bound to something else": f"{SETTLEMENT}::TestContext::test_a_proof_of_the_same_columns_elsewhere",
    "another round's proof": f"{SETTLEMENT}::TestReplay::test_in_the_next_round",
    "forged trainer signature": f"{MARKET}::test_a_forged_signature_is_refused",
    "wrong active bits": f"{SETTLEMENT}::TestStatement::test_wrong_active_bits",
    "wrong parameters": f"{SETTLEMENT}::TestStatement::test_wrong_parameters",
    "another task's terms": f"{SETTLEMENT}::TestStatement::test_other_terms_than_the_tasks",
    "edited scores": f"{SETTLEMENT}::TestOutputs::test_an_edited_score",
    "edited acceptance": f"{SETTLEMENT}::TestOutputs::test_a_flipped_accept_bit",
    "a self-made verifying key": f"{SETTLEMENT}::TestStatement::test_a_self_made_key_of_the_update_argument",
    "an edited verifying key": f"{SETTLEMENT}::TestStatement::test_an_edited_key",
    "an edited key of the update argument": f"{SETTLEMENT}::TestStatement::test_an_edited_key_of_the_update_argument",
    "a verifier of its own": f"{SETTLEMENT}::TestStatement::test_other_terms_than_the_tasks",
    "another circuit with the same shape": f"{SETTLEMENT}::TestStatement::test_another_circuits_key",
    "edited proof bytes": f"{SETTLEMENT}::TestProofBytes::test_of_the_rule",
    "edited points": f"{SETTLEMENT}::TestProofBytes::test_a_point_of_the_update_argument",
    "edited evaluations": f"{SETTLEMENT}::TestProofBytes::test_an_evaluation_of_the_update_argument",
    "truncated proofs": f"{SETTLEMENT}::TestProofBytes::test_of_another_length",
    "no settlement": f"{MARKET}::test_silence_after_a_commit_costs_the_bond",
    "no settlement, and trainers collect": f"{CLIENTS}::test_trainers_end_a_round_that_was_never_settled",
    "a model that is not the sum": f"{CLIENTS}::test_an_owner_is_told_of_a_model_that_is_not_the_sum",
    "a model that trainers must not start from": f"{CLIENTS}::test_a_model_that_is_not_the_chains_is_not_trained_from",
    "a last model that is another one": f"{LAST}::test_an_owner_is_told_of_a_last_model_that_is_another_one",
    "a last model in the clear": f"{LAST}::test_an_owner_is_told_of_a_last_model_in_the_clear",
    "a receipt that is none": f"{CLIENTS}::test_receipts_are_checked",
}


@pytest.mark.parametrize("where", ATTACKS.values(), ids=ATTACKS.keys())
def test_there_is_a_test(where: str) -> None:
    assert exists(where)
