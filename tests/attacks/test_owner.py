"""What an owner may try, alone and as its own aggregator."""

from collections.abc import Iterator

import pytest

from contracts.bindings import TaskState, market_errors
from contracts.bindings.devchain import advance_time, embedded_chain
from tests.attacks.catalogue import exists
from tests.contracts.conftest import REWARD_WEI, ROUNDS, SETTLE_WINDOW_SECONDS, World, build_world

MACHINE = "tests/aggregator/test_machine.py"

ATTACKS = {
    "no payment": "tests/attacks/test_owner.py::test_a_task_without_its_reward_is_no_task",
    "no payment by silence": "tests/attacks/test_owner.py::test_silence_costs_as_much_as_it_keeps",
    "early close": "tests/attacks/test_owner.py::test_an_open_task_is_not_the_owners_to_close",
    "an end that any update meets": "tests/protocol/test_terms.py::test_other_terms_are_refused",
    "a dishonest config": "tests/clients/test_trainer.py::test_dishonest_terms_are_refused_before_joining",
    "a dishonest config, to the aggregator": f"{MACHINE}::test_dishonest_terms_are_refused_and_said",
    "another genesis model": "tests/clients/test_trainer.py::test_another_genesis_model_is_refused_before_joining",
    "a verifier of its own": "tests/protocol/test_terms.py::test_verifier_must_be_the_pinned_one",
    "a test-only string": "tests/protocol/test_terms.py::test_test_only_string_is_refused_on_other_chains",
}


@pytest.mark.parametrize("where", ATTACKS.values(), ids=ATTACKS.keys())
def test_there_is_a_test(where: str) -> None:
    assert exists(where)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with embedded_chain() as local:
        yield build_world(*local)


@pytest.mark.slow
def test_a_task_without_its_reward_is_no_task(world: World) -> None:
    from contracts.bindings.market import _config_tuple

    config, before = world.config(), world.market.task_count()
    fn = world.market._fn.createTask(_config_tuple(config), config.genesis_cid, config.rule_name)
    for short_wei in (0, ROUNDS * REWARD_WEI - 1):
        with pytest.raises(market_errors.WrongValue):
            world.chain.send(world.owner, fn, short_wei)
    assert world.market.task_count() == before


@pytest.mark.slow
def test_an_open_task_is_not_the_owners_to_close(world: World) -> None:
    task_id = world.opened()
    for step in (lambda: None, lambda: world.commit(task_id)):
        step()
        with pytest.raises(market_errors.WrongTaskState):
            world.market.close(world.owner, task_id)
        with pytest.raises(market_errors.CreditLocked):
            world.market.withdraw(world.owner, task_id)


@pytest.mark.slow
@pytest.mark.parametrize("bond_wei", [REWARD_WEI, REWARD_WEI + 1, 3 * REWARD_WEI])
@pytest.mark.parametrize("settled", [0, 1])
def test_silence_costs_as_much_as_it_keeps(world: World, bond_wei: int, settled: int) -> None:
    """The owner is the aggregator, with the smallest bond that there can be and more, and settles a round or none.

    What it keeps by not settling a committed round is that round's reward at most; what it loses is its bond.
    """
    market, owner = world.market, world.owner
    task_id = market.create_task(owner, world.config(aggregator=owner.address, bond_wei=bond_wei))
    market.post_bond(owner, task_id)
    for trainer in world.trainers[:3]:
        market.join(trainer, task_id)
    for number in range(settled):
        submissions = [world.submission(task_id, number, index) for index in range(3)]
        market.commit_round(owner, task_id, number, submissions)
        market.settle_round(owner, task_id, number, world.settlement(submissions, (1, 2, 1)))
    market.commit_round(owner, task_id, settled, [world.submission(task_id, settled, index) for index in range(3)])
    advance_time(world.chain, SETTLE_WINDOW_SECONDS + 1)
    market.expire_round(world.anyone, task_id, settled)

    assert market.task(task_id).state is TaskState.CLOSED
    spent_wei = ROUNDS * REWARD_WEI + bond_wei
    back_wei = market.withdraw(owner, task_id)
    paid_wei = sum(market.withdraw(world.anyone, task_id, trainer.address) for trainer in world.trainers[:3])
    assert back_wei + paid_wei == spent_wei
    # Had it settled, this round's trainers would have got at most the reward.
    assert paid_wei == settled * REWARD_WEI + bond_wei >= (settled + 1) * REWARD_WEI
