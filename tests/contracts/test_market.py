"""The bindings against a market on both local chains: the same calls, the same errors."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from eth_account import Account

from contracts.bindings import (
    NATIVE,
    Chain,
    ChainRefused,
    MalformedTask,
    Market,
    NotAContract,
    RoundState,
    TaskState,
    TransactionReverted,
    UntrustedVerifier,
    artifacts,
    check_verifier,
    cid_digest,
    register_vka,
    vka_digest,
)
from contracts.bindings.deploy import create
from contracts.bindings.devchain import advance_time
from contracts.bindings.errors import BindingsError
from contracts.bindings.market_errors import ProofRejected, WrongLength
from tests.contracts.conftest import (
    BOND_WEI,
    COMMIT_WINDOW_SECONDS,
    REWARD_WEI,
    ROUNDS,
    RULE_VKA,
    SETTLE_WINDOW_SECONDS,
    World,
    create_malformed,
    point,
)

pytestmark = pytest.mark.slow


def reverted(caught: pytest.ExceptionInfo[TransactionReverted], name: str, **args: object) -> None:
    assert caught.value.error_name == name, caught.value
    assert caught.value.error_args == args


def test_a_whole_task(world: World) -> None:
    market = world.market
    task_id = world.opened()
    config = world.config()
    task = market.task(task_id)
    assert task.config == config
    assert (task.state, task.round_state) == (TaskState.OPEN, RoundState.COLLECTING)
    assert (task.escrow_wei, task.bond_wei) == (ROUNDS * REWARD_WEI, BOND_WEI)
    assert task.model_scale == 12
    assert task.model == market.model_commitment(task_id) == point(1)
    assert task.owner == world.owner.address

    for number in range(ROUNDS):
        submissions = world.commit(task_id, number)
        committed = market.round(task_id, number)
        assert committed.state is RoundState.COMMITTED
        assert committed.trainers == tuple(trainer.address for trainer in world.trainers[:3])
        assert committed.points == tuple(submission.point for submission in submissions)
        assert committed.cids == tuple(submission.cid for submission in submissions)
        assert market.round_of_point(task_id, submissions[0].point[0]) == number
        market.settle_round(world.anyone, task_id, number, world.settlement(submissions, (1, 0, 2)))
        market.publish_model(world.aggregator, task_id, number, b"model")
        settled = market.round(task_id, number)
        assert settled.state is RoundState.SETTLED
        assert settled.accept == (True, False, True)
        assert settled.scores == (1, 0, 2)
        assert settled.paid_wei == (333, 0, 666)
        assert settled.model_cid == b"model"
        assert settled.model == market.model_commitment(task_id)

    task = market.task(task_id)
    assert (task.state, task.round_state) == (TaskState.CLOSED, RoundState.NONE)
    assert task.escrow_wei == task.bond_wei == 0
    before = world.chain.balance_wei(world.trainers[2].address)
    assert market.credit(task_id, world.trainers[2].address) == (1332, True)
    assert market.withdraw(world.anyone, task_id, world.trainers[2].address) == 1332
    assert world.chain.balance_wei(world.trainers[2].address) == before + 1332
    assert market.withdraw(world.trainers[0], task_id) == 666
    assert market.withdraw(world.owner, task_id) == 2
    assert market.withdraw(world.aggregator, task_id) == BOND_WEI


def test_what_the_log_alone_holds_is_taken_from_the_same_task_only(world: World) -> None:
    first, second = (world.market.create_task(world.owner, world.config(genesis_cid=cid)) for cid in (b"one", b"two"))
    known = [world.market.task(task_id) for task_id in (first, second)]
    assert world.market.task(second, known[1]) == known[1]
    assert world.market.task(second, known[0]) == known[1]
    assert world.market.task(second, replace(known[1], created_at_block=1, config=known[0].config)) == known[1]


def test_the_log_tells_the_story(world: World) -> None:
    task_id = world.opened(trainers=2)
    world.market.settle_round(world.anyone, task_id, 0, world.settlement(world.commit(task_id, trainers=2), (1, 1)))
    events = world.market.events(task_id)
    assert [event.name for event in events] == [
        *("TaskCreated", "BondPosted", "RoundOpened", "TrainerJoined", "TrainerJoined"),
        *("RoundCommitted", "RoundSettled", "RoundOpened"),
    ]
    assert [event.name for event in world.market.events(task_id, round=1)] == ["RoundOpened"]
    last = events[-1].block_number
    assert len(world.market.events(task_id, from_block=last, to_block=last)) == 2
    assert events[3].args == {"trainer": world.trainers[0].address, "stakeWei": 0}


def test_tasks_do_not_share_logs_or_points(world: World) -> None:
    first, second = world.opened(trainers=2), world.opened(trainers=2)
    world.commit(first, trainers=2)
    world.commit(second, trainers=2)
    assert {event.task_id for event in world.market.events(first)} == {first}
    assert world.market.task_count() >= second == first + 1


def test_the_contract_signs_the_same_digest(world: World) -> None:
    task_id = world.opened(trainers=1)
    submission = world.submission(task_id, 0, 0)
    digest = world.market.update_digest(task_id, 0, submission.point, cid_digest(submission.cid))
    signer = Account._recover_hash(digest, signature=submission.signature)
    assert signer == world.trainers[0].address


def test_a_forged_signature_is_refused(world: World) -> None:
    task_id = world.opened(trainers=2)
    submissions = [world.submission(task_id, 0, 0), world.submission(task_id, 0, 1)]
    submissions[0] = replace(submissions[0], signature=submissions[1].signature)
    with pytest.raises(TransactionReverted) as caught:
        world.market.commit_round(world.aggregator, task_id, 0, submissions)
    reverted(caught, "InvalidSignature", trainer=world.trainers[0].address.lower())
    assert caught.value.function == "commitRound"
    assert caught.value.tx_hash is None


def test_refused_terms_name_the_field(world: World) -> None:
    with pytest.raises(TransactionReverted) as caught:
        world.market.create_task(world.owner, world.config(quorum=9))
    reverted(caught, "FieldTooLarge", field="quorum", value=9, maximum=4)


def test_unknown_tasks_are_named(world: World) -> None:
    with pytest.raises(TransactionReverted) as caught:
        world.market.task(10**6)
    reverted(caught, "UnknownTask", taskId=10**6)


def test_a_rule_name_that_is_no_text(world: World) -> None:
    """Whoever reads all tasks must be able to step over it."""
    task_id = create_malformed(world.market, world.owner, world.config())
    following = world.market.create_task(world.owner, world.config())
    with pytest.raises(MalformedTask) as caught:
        world.market.task(task_id)
    assert caught.value.task_id == task_id
    malformed, view = world.market.tasks(task_id)
    assert isinstance(malformed, MalformedTask)
    assert malformed.task_id == task_id
    assert view == world.market.task(following)


def test_cancel_before_the_bond(world: World) -> None:
    task_id = world.market.create_task(world.owner, world.config())
    with pytest.raises(TransactionReverted) as caught:
        world.market.close(world.anyone, task_id)
    reverted(caught, "NotOwner", caller=world.anyone.address.lower())
    world.market.close(world.owner, task_id)
    assert world.market.withdraw(world.owner, task_id) == ROUNDS * REWARD_WEI
    with pytest.raises(TransactionReverted) as caught:
        world.market.post_bond(world.aggregator, task_id)
    reverted(caught, "WrongTaskState", taskId=task_id, required="funded", actual="closed")


def test_silence_after_a_commit_costs_the_bond(world: World) -> None:
    task_id = world.opened()
    submissions = world.commit(task_id)
    with pytest.raises(TransactionReverted) as caught:
        world.market.expire_round(world.anyone, task_id, 0)
    deadline = world.market.round(task_id, 0).settle_deadline_seconds
    reverted(caught, "WindowStillOpen", deadline=deadline)
    advance_time(world.chain, SETTLE_WINDOW_SECONDS + 1)
    with pytest.raises(TransactionReverted) as caught:
        world.market.settle_round(world.anyone, task_id, 0, world.settlement(submissions, (1, 1, 1)))
    reverted(caught, "SettleWindowClosed", deadline=deadline)
    world.market.expire_round(world.anyone, task_id, 0)
    expired = world.market.round(task_id, 0)
    assert (expired.state, expired.paid_wei) == (RoundState.EXPIRED, (501, 500, 500))
    assert world.market.withdraw(world.trainers[0], task_id) == 501
    assert world.market.credit(task_id, world.owner.address) == (ROUNDS * REWARD_WEI, True)
    with pytest.raises(TransactionReverted) as caught:
        world.market.withdraw(world.aggregator, task_id)
    reverted(caught, "NothingToWithdraw", taskId=task_id, account=world.aggregator.address.lower())


def test_silence_before_a_commit_costs_nothing(world: World) -> None:
    task_id = world.opened()
    advance_time(world.chain, COMMIT_WINDOW_SECONDS + 1)
    world.market.expire_round(world.anyone, task_id, 0)
    assert world.market.round(task_id, 0).trainers == ()
    assert world.market.credit(task_id, world.aggregator.address) == (BOND_WEI, True)


def test_credits_by_the_round(world: World) -> None:
    locked, paid = world.opened(trainers=2), world.opened(trainers=2, pay_by_round=True)
    for task_id in (locked, paid):
        submissions = world.commit(task_id, trainers=2)
        world.market.settle_round(world.anyone, task_id, 0, world.settlement(submissions, (1, 1)))
    assert world.market.withdraw(world.trainers[0], paid) == REWARD_WEI // 2
    assert world.market.credit(locked, world.trainers[0].address) == (REWARD_WEI // 2, False)
    with pytest.raises(TransactionReverted) as caught:
        world.market.withdraw(world.trainers[0], locked)
    reverted(caught, "CreditLocked", taskId=locked)


def test_a_task_in_a_token(world: World) -> None:
    token, _ = create(world.chain, world.owner, artifacts.forge("PlainToken", "Tokens"))
    contract = world.chain.contract(token, artifacts.forge("PlainToken", "Tokens").abi)
    with pytest.raises(TransactionReverted) as caught:
        world.market.create_task(world.owner, world.config(token=token))
    assert caught.value.error_name == "ERC20InsufficientAllowance"
    for account in (world.owner, world.aggregator):
        world.chain.send(account, contract.functions.mint(account.address, 10_000))
        world.chain.send(account, contract.functions.approve(world.market.address, 10_000))
    task_id = world.opened(trainers=2, token=token)
    assert world.chain.read(contract.functions.balanceOf(world.market.address)) == ROUNDS * REWARD_WEI + BOND_WEI
    assert world.market.task(task_id).config.token == token != NATIVE


def test_a_proof_that_the_generated_verifier_refuses(world: World) -> None:
    """It reverts without a word."""
    register_vka(world.chain, world.anyone, world.real_verifier, RULE_VKA)
    task_id = world.opened(trainers=2, verifier=world.real_verifier)
    settlement = world.settlement(world.commit(task_id, trainers=2), (1, 1), verifier=world.real_verifier)
    with pytest.raises(ProofRejected):
        world.market.settle_round(world.anyone, task_id, 0, settlement)


def test_the_update_arguments_own_errors_arrive(world: World) -> None:
    """The market that `deploy` makes asks the real one: every proof of the wrong length is named as such."""
    strict = replace(world, market=world.strict_market)
    task_id = strict.opened(trainers=2)
    settlement = strict.settlement(strict.commit(task_id, trainers=2), (1, 1))
    with pytest.raises(WrongLength) as caught:
        strict.market.settle_round(strict.anyone, task_id, 0, settlement)
    assert caught.value.field == "proof"


def test_verifiers_are_recognised(world: World) -> None:
    check_verifier(world.chain, world.real_verifier)
    with pytest.raises(UntrustedVerifier) as caught:
        check_verifier(world.chain, world.verifier)
    assert caught.value.address == world.verifier
    with pytest.raises(UntrustedVerifier):
        check_verifier(world.chain, world.anyone.address)


def test_vka_digests(world: World) -> None:
    assert register_vka(world.chain, world.anyone, world.real_verifier, RULE_VKA)["status"] == 1
    with pytest.raises(ValueError, match="31 bytes"):
        vka_digest([bytes(32), bytes(31)])


def test_a_purse_without_funds_is_refused(world: World) -> None:
    poor = Account.create()
    with pytest.raises(BindingsError) as caught:
        world.market.join(poor, world.opened(trainers=0))
    assert isinstance(caught.value, ChainRefused)
    with pytest.raises(ChainRefused):
        world.chain.transfer(poor, world.owner.address, 1)


def test_two_processes_may_share_an_account(world: World) -> None:
    """Each counts its own transactions only, and sends when it likes."""
    purse, receiver, each = Account.create(), Account.create().address, 8
    world.chain.transfer(world.owner, purse.address, 10**18)
    chains = [Chain(world.chain.rpc_url) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        # Other amounts, for the same transaction twice is one transaction.
        sent = [pool.submit(chains[i].transfer, purse, receiver, 1 + i) for _ in range(each) for i in range(2)]
        assert all(transfer.result()["status"] == 1 for transfer in sent)
    assert world.chain.balance_wei(receiver) == each * (1 + 2)


def test_transfers(world: World) -> None:
    fresh = Account.create().address
    world.chain.transfer(world.owner, fresh, 12345)
    assert world.chain.balance_wei(fresh) == 12345
    assert world.chain.code(fresh) == b""
    assert world.chain.block_number() > 0
    assert repr(world.chain) == f"Chain({world.chain.rpc_url!r}, chain_id={world.chain.chain_id})"
    assert isinstance(Chain(world.chain.rpc_url), Chain)


def test_an_address_without_a_market_is_named(world: World) -> None:
    lost = Market(world.chain, world.anyone.address)
    with pytest.raises(NotAContract) as caught:
        lost.task(1)
    assert caught.value.address == world.anyone.address
