"""What a deployment takes, and who can pay it."""

import pytest
from eth_account import Account

from contracts.bindings import InsufficientFunds, WrongChain, deploy
from contracts.bindings.deploy import deployment_gas, require_funds
from tests.contracts.conftest import World


def test_a_deployment_takes_little_less_than_foretold(world: World) -> None:
    used: dict[str, int] = {}
    deployment = deploy(world.chain, world.owner, lambda name, _, receipt: used.update({name: receipt["gasUsed"]}))
    assert list(used) == ["verifier", "update_argument", "market", "key_board"]
    assert 0.85 * deployment_gas() < sum(used.values()) <= deployment_gas()
    assert len(world.chain.code(deployment.key_board)) > 0


def test_funds_are_those_that_a_node_asks_for(world: World) -> None:
    """An account that holds as much as is asked for can deploy; with less, nothing is sent."""
    account = Account.create()
    gas = deployment_gas()
    world.chain.transfer(world.owner, account.address, world.chain.most_wei(gas) // 2)
    with pytest.raises(InsufficientFunds) as caught:
        require_funds(world.chain, account, gas)
    assert caught.value.balance_wei == world.chain.balance_wei(account.address)
    world.chain.transfer(world.owner, account.address, 2 * caught.value.needed_wei - caught.value.balance_wei)
    assert require_funds(world.chain, account, gas) <= world.chain.balance_wei(account.address)
    deploy(world.chain, account)


def test_both_local_chains_are_suitable(world: World) -> None:
    world.chain.require_suitable(world.chain.chain_id)
    with pytest.raises(WrongChain) as caught:
        world.chain.require_suitable(world.chain.chain_id + 1)
    assert caught.value.chain_id == world.chain.chain_id
