"""Who may join, for which stake, and how it comes back."""

import pytest

from contracts.bindings import MalformedTask, TransactionReverted, allowlist, artifacts, market_errors
from contracts.bindings.deploy import create
from contracts.bindings.devchain import advance_time
from contracts.bindings.market import MAX_PAGE
from tests.contracts.conftest import BOND_WEI, COMMIT_WINDOW_SECONDS, ROUNDS, SETTLE_WINDOW_SECONDS, World

pytestmark = pytest.mark.slow

STAKE_WEI = 77


def test_a_stake_is_posted_and_comes_back_with_the_end(world: World) -> None:
    market, trainer = world.market, world.trainers[0]
    before_wei = world.chain.balance_wei(market.address)
    task_id = world.opened(trainers=3, stake_wei=STAKE_WEI)
    assert world.chain.balance_wei(market.address) == before_wei + ROUNDS * 1000 + BOND_WEI + 3 * STAKE_WEI
    assert market.credit(task_id, trainer.address) == (0, False)
    for number in range(ROUNDS):
        market.settle_round(world.anyone, task_id, number, world.settlement(world.commit(task_id, number), (1, 1, 0)))
    assert market.credit(task_id, trainer.address) == (1000 + STAKE_WEI, True)
    assert market.withdraw(trainer, task_id) == 1000 + STAKE_WEI
    # Of those who were paid nothing, too, and once.
    assert market.withdraw(world.anyone, task_id, world.trainers[2].address) == STAKE_WEI
    with pytest.raises(market_errors.NothingToWithdraw):
        market.withdraw(world.anyone, task_id, world.trainers[2].address)
    market.withdraw(world.trainers[1], task_id)
    market.withdraw(world.aggregator, task_id)
    assert world.chain.balance_wei(market.address) == before_wei
    assert not market.has_joined(task_id, trainer.address)


def test_silence_does_not_touch_the_stakes(world: World) -> None:
    task_id = world.opened(trainers=3, stake_wei=STAKE_WEI)
    world.commit(task_id)
    advance_time(world.chain, SETTLE_WINDOW_SECONDS + 1)
    world.market.expire_round(world.anyone, task_id, 0)
    paid = [world.market.withdraw(trainer, task_id) for trainer in world.trainers[:3]]
    assert paid == [BOND_WEI // 3 + 1 + STAKE_WEI, BOND_WEI // 3 + STAKE_WEI, BOND_WEI // 3 + STAKE_WEI]


def test_leaving_before_the_bond(world: World) -> None:
    market, trainer = world.market, world.trainers[0]
    task_id = market.create_task(world.owner, world.config(stake_wei=STAKE_WEI))
    with pytest.raises(market_errors.NotJoined) as caught:
        market.leave(trainer, task_id)
    assert caught.value.trainer == trainer.address.lower()
    market.join(trainer, task_id)
    with pytest.raises(market_errors.AlreadyJoined):
        market.join(trainer, task_id)
    market.leave(trainer, task_id)
    assert not market.has_joined(task_id, trainer.address)
    market.join(trainer, task_id)
    market.post_bond(world.aggregator, task_id)
    with pytest.raises(market_errors.WrongTaskState) as refused:
        market.leave(trainer, task_id)
    assert (refused.value.required, refused.value.actual) == ("funded", "open")


def test_only_the_stake_itself_is_taken(world: World) -> None:
    task_id = world.market.create_task(world.owner, world.config(stake_wei=STAKE_WEI))
    with pytest.raises(market_errors.WrongValue) as caught:
        world.chain.send(world.trainers[0], world.market._fn.joinTask(task_id, []), STAKE_WEI - 1)
    assert (caught.value.required_wei, caught.value.sent_wei) == (STAKE_WEI, STAKE_WEI - 1)


def test_a_stake_in_a_token(world: World) -> None:
    token, _ = create(world.chain, world.owner, artifacts.forge("PlainToken", "Tokens"))
    contract = world.chain.contract(token, artifacts.forge("PlainToken", "Tokens").abi)
    for account in (world.owner, world.trainers[0]):
        world.chain.send(account, contract.functions.mint(account.address, 10_000))
        world.chain.send(account, contract.functions.approve(world.market.address, 10_000))
    task_id = world.market.create_task(world.owner, world.config(token=token, stake_wei=STAKE_WEI))
    world.market.join(world.trainers[0], task_id)
    assert world.chain.read(contract.functions.balanceOf(world.trainers[0].address)) == 10_000 - STAKE_WEI
    with pytest.raises(market_errors.ERC20InsufficientAllowance) as caught:
        world.market.join(world.trainers[1], task_id)
    assert caught.value.needed == STAKE_WEI


@pytest.mark.parametrize("members", [1, 2, 5])
def test_an_allow_list_lets_in_its_members_alone(world: World, members: int) -> None:
    market, allowed = world.market, [trainer.address for trainer in world.trainers[:members]]
    task_id = market.create_task(world.owner, world.config(allow_root=allowlist.root_of(allowed)))
    stranger = world.trainers[5]
    for proof in (
        (),
        allowlist.proof_of(allowed, allowed[0]),
        allowlist.proof_of([*allowed, stranger.address], stranger.address),
    ):
        with pytest.raises(market_errors.NotAllowed) as caught:
            market.join(stranger, task_id, proof)
        assert caught.value.trainer == stranger.address.lower()
    for trainer in world.trainers[:members]:
        market.join(trainer, task_id, allowlist.proof_of(allowed, trainer.address))
        assert market.has_joined(task_id, trainer.address)
    assert not market.has_joined(task_id, stranger.address)


def test_tasks_come_in_pages(world: World) -> None:
    market = world.market
    first = market.create_task(world.owner, world.config(rounds=1))
    others = [market.create_task(world.owner, world.config(rounds=1 + i)) for i in range(1, 4)]
    page = market.tasks(first)
    assert page == [market.task(task_id) for task_id in (first, *others)]
    assert market.tasks(first + 1, 2) == page[1:3]
    assert market.tasks(others[-1] + 1) == []
    assert not any(isinstance(view, MalformedTask) for view in page)
    with pytest.raises(market_errors.PageTooLarge) as caught:
        market.tasks(first, MAX_PAGE + 1)
    assert caught.value.maximum == MAX_PAGE


def test_a_point_belongs_to_one_round(world: World) -> None:
    task_id = world.opened(trainers=2, rounds=7)
    for x in (0, 6, 7, 2**255):
        assert world.market.round_of_point(task_id, x) == x % 7
    wrong = [world.submission(task_id, 0, index, rounds=5) for index in range(2)]
    with pytest.raises(market_errors.PointOfAnotherRound) as caught:
        world.market.commit_round(world.aggregator, task_id, 0, wrong)
    assert caught.value.belongs_to == caught.value.x % 7 != 0


def test_terms_come_back_as_they_were_given(world: World) -> None:
    given = {
        "stake_wei": STAKE_WEI,
        "allow_root": b"\7" * 32,
        "target_norm": 2**96 - 1,
        "learning_rate": 2**64 - 1,
        "patience": 2**16 - 1,
        "pay_by_round": True,
        "rounds": 65_536,
    }
    config = world.config(**given)
    view = world.market.task(world.market.create_task(world.owner, config))
    assert view.config == config
    assert view.learning_rate == 2**64 - 1
    assert view.pace == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"patience": 1}, "learningRate"), ({"rounds": 65_537}, "rounds"), ({"bond_wei": 1}, "bondWei")],
)
def test_terms_that_make_no_sense(world: World, changes: dict[str, int], field: str) -> None:
    with pytest.raises(TransactionReverted) as caught:
        world.market.create_task(world.owner, world.config(**changes))
    assert caught.value.error_args["field"] == field


def test_a_task_that_nobody_commits_gives_everything_back(world: World) -> None:
    task_id = world.opened(trainers=1, stake_wei=STAKE_WEI)
    advance_time(world.chain, COMMIT_WINDOW_SECONDS + 1)
    world.market.expire_round(world.anyone, task_id, 0)
    assert world.market.withdraw(world.trainers[0], task_id) == STAKE_WEI
    assert world.market.withdraw(world.aggregator, task_id) == BOND_WEI
