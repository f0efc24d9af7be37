"""ERC-20s as they are met: what they call themselves, and allowances of exactly what is taken."""

from typing import Any

import pytest
from eth_account import Account

from contracts.bindings import NATIVE, InsufficientFunds, NotAContract, Token, ValueOutOfRange, allow, artifacts
from contracts.bindings.deploy import create
from contracts.bindings.market_errors import FeeOnTransferToken
from tests.contracts.conftest import REWARD_WEI, ROUNDS, World

TOTAL = ROUNDS * REWARD_WEI


def deployed(world: World, name: str, *arguments: object, minted: int = 10 * TOTAL) -> Token:
    """A token of which the owner holds some."""
    artifact = artifacts.forge(name, "Tokens")
    address, _ = create(world.chain, world.owner, artifact, *arguments)
    contract: Any = world.chain.contract(address, artifact.abi)
    world.chain.send(world.owner, contract.functions.mint(world.owner.address, minted))
    return Token(world.chain, address)


def nonce(world: World) -> int:
    return world.chain.w3.eth.get_transaction_count(world.owner.address)


def test_a_token_says_how_it_writes_amounts(world: World) -> None:
    found = deployed(world, "PlainToken").denomination
    assert (found.symbol, found.decimals) == ("P", 18)


@pytest.mark.parametrize("symbol", ["", "[red]", "a\nb", "\u202eP", "x" * 17])
def test_names_that_are_not_fit_to_be_shown_are_not(symbol: str, world: World) -> None:
    found = deployed(world, "StubbornToken", symbol).denomination
    assert (found.symbol, found.decimals) == (None, 18)


def test_what_the_standard_leaves_open_may_be_missing(world: World) -> None:
    """Old tokens answer with another type, or not at all."""
    found = deployed(world, "SilentToken").denomination
    assert (found.symbol, found.decimals) == (None, None)
    found = Token(world.chain, world.anyone.address).denomination
    assert (found.symbol, found.decimals) == (None, None)


def test_exactly_the_amount_is_allowed_and_only_if_it_has_to_be(world: World) -> None:
    token, market = deployed(world, "PlainToken"), world.market
    assert allow(market, world.owner, token.address, TOTAL) is not None
    assert token.allowance(world.owner.address, market.address) == TOTAL
    before = nonce(world)
    assert allow(market, world.owner, token.address, TOTAL) is None
    assert allow(market, world.owner, token.address, TOTAL - 1) is None
    assert nonce(world) == before
    market.create_task(world.owner, world.config(token=token.address))
    assert token.allowance(world.owner.address, market.address) == 0
    token.allow(world.owner, market.address, 1)
    assert allow(market, world.owner, token.address, TOTAL) is not None
    assert token.allowance(world.owner.address, market.address) == TOTAL


def test_the_native_currency_and_nothing_need_no_allowance(world: World) -> None:
    token = deployed(world, "PlainToken")
    before = nonce(world)
    assert allow(world.market, world.owner, NATIVE, TOTAL) is None
    assert allow(world.market, world.owner, token.address, 0) is None
    assert nonce(world) == before


def test_a_token_that_changes_allowances_from_zero_only(world: World) -> None:
    token = deployed(world, "StubbornToken", "S")
    token.allow(world.owner, world.market.address, 5)
    token.allow(world.owner, world.market.address, TOTAL)
    assert token.allowance(world.owner.address, world.market.address) == TOTAL
    world.market.create_task(world.owner, world.config(token=token.address))


def test_who_holds_too_little_allows_nothing(world: World) -> None:
    token = deployed(world, "PlainToken", minted=TOTAL - 1)
    before = nonce(world)
    with pytest.raises(InsufficientFunds) as caught:
        allow(world.market, world.owner, token.address, TOTAL)
    assert (caught.value.balance_wei, caught.value.needed_wei) == (TOTAL - 1, TOTAL)
    assert token.address in str(caught.value)
    assert nonce(world) == before


def test_a_token_with_a_fee_is_refused_by_name(world: World) -> None:
    token = deployed(world, "FeeToken")
    allow(world.market, world.owner, token.address, TOTAL)
    with pytest.raises(FeeOnTransferToken) as caught:
        world.market.create_task(world.owner, world.config(token=token.address))
    assert (caught.value.required_wei, caught.value.received_wei) == (TOTAL, TOTAL - 1)
    assert token.balance(world.owner.address) == 10 * TOTAL


def test_something_else_than_a_token(world: World) -> None:
    with pytest.raises(NotAContract):
        allow(world.market, world.owner, Account.create().address, TOTAL)
    with pytest.raises(ValueOutOfRange, match="token"):
        Token(world.chain, "0x12")
