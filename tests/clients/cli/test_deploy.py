"""`merit deploy`: what it puts on a chain serves, and what it refuses costs nothing."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from clients.connection import configured
from contracts.bindings import Chain, Market, TaskConfig, check_verifier
from contracts.bindings.deploy import deployment_gas
from contracts.bindings.devchain import LocalChain, anvil_chain
from contracts.bindings.keyboard import KeyBoard, KeyShare
from process.exits import Exit
from process.keyfile import create_keystore
from tests.clients.cli.running import merit, refused
from tests.stage import Stage

PASSWORD = "correct horse battery"


@pytest.fixture
def stranger(local: LocalChain, directory: Path) -> str:
    """Address of an account in me.json that holds an ether."""
    (directory / "password").write_text(PASSWORD)
    (directory / "password").chmod(0o600)
    address = create_keystore(directory / "me.json", PASSWORD, scrypt_n=2).address
    Chain(local.rpc_url).transfer(Account.from_key(local.private_keys[0]), address, 10**18)
    return address


def command(rpc_url: str, *more: str) -> tuple[str, ...]:
    return ("deploy", "--rpc", rpc_url, "--key-file", "me.json", "--password-file", "password", *more)


async def test_a_stranger_puts_a_market_on_a_chain(
    local: LocalChain, stranger: str, directory: Path, stage: Stage
) -> None:
    chain = Chain(local.rpc_url)
    code, out, errors = await merit(*command(local.rpc_url, "--chain-id", str(chain.chain_id)), "--json")
    assert code == Exit.OK, errors
    made: dict[str, Any] = json.loads(out)
    assert (made["deployer"], made["chain_id"]) == (stranger, chain.chain_id)
    assert int(made["cost_wei"]) == 10**18 - chain.balance_wei(stranger)
    assert made["gas_used"] <= deployment_gas()
    progress = [line for line in errors.splitlines() if line.startswith("✓")]
    places = [made[name] for name in ("verifier", "update_argument", "market", "key_board")]
    assert [line.split()[1] for line in progress] == places
    assert PASSWORD not in out + errors

    check_verifier(chain, made["verifier"])
    stage.market = market = Market(chain, made["market"])
    assert market.task_count() == 0
    terms: TaskConfig = stage.task_config(verifier=made["verifier"])
    assert market.create_task(stage.owner, terms) == 1
    assert market.task(1).created_at_block > made["block"]
    share = KeyShare(object_id=bytes(32), cid=b"cid", wrapped_key=bytes(101))
    board = KeyBoard(chain, made["key_board"])
    board.share(stage.owner, [share])
    (found,) = board.shared_with(share.receiver)
    assert found.sender == stage.owner.address

    (directory / "merit.toml").write_text(made["configuration"])
    assert tomllib.loads(made["configuration"])["chain"]["rpc_url"] == local.rpc_url
    held = configured(directory / "merit.toml", {"aggregator_target": "127.0.0.1:1"})
    assert (held.market, held.verifier) == (made["market"], made["verifier"])
    assert tomllib.loads(made["configuration"])["aggregator"]["key_board"] == made["key_board"]


async def test_for_eyes_it_ends_with_the_lines_of_a_configuration(local: LocalChain, stranger: str) -> None:
    code, out, errors = await merit(*command(local.rpc_url))
    assert code == Exit.OK, errors
    assert f"paid by {stranger}" in out
    lines = tomllib.loads(out[out.index("[chain]") :])
    assert f"✓ {lines['chain']['market']} market" in out


@pytest.mark.parametrize("held_wei", [0, 10**12])
async def test_without_funds_nothing_is_sent(held_wei: int, local: LocalChain, stranger: str, directory: Path) -> None:
    poor = create_keystore(directory / "poor.json", PASSWORD, scrypt_n=2).address
    chain = Chain(local.rpc_url)
    if held_wei:
        chain.transfer(Account.from_key(local.private_keys[0]), poor, held_wei)
    error = await refused(*command(local.rpc_url, "--key-file", "poor.json"))
    assert (error["kind"], error["exit"]) == ("InsufficientFunds", Exit.CHAIN)
    assert f"{poor} holds {held_wei} wei" in error["message"]
    assert "Nothing was paid" in error["next"]
    assert chain.w3.eth.get_transaction_count(poor) == 0  # type: ignore[arg-type]


async def test_another_chain_is_refused(local: LocalChain, stranger: str) -> None:
    error = await refused(*command(local.rpc_url, "--chain-id", "1"))
    assert (error["kind"], error["exit"]) == ("WrongChain", Exit.CHAIN)
    assert "it should be chain 1" in error["message"]
    assert Chain(local.rpc_url).balance_wei(stranger) == 10**18


async def test_a_chain_that_cannot_run_the_contracts_is_refused(stranger: str) -> None:
    with anvil_chain("--hardfork", "shanghai") as old:
        error = await refused(*command(old.rpc_url))
    assert (error["kind"], error["exit"]) == ("WrongChain", Exit.CHAIN)
    assert "Cancun" in error["message"]


async def test_nobody_there(stranger: str) -> None:
    error = await refused(*command("http://127.0.0.1:1"))
    assert (error["kind"], error["exit"]) == ("ChainUnavailable", Exit.CHAIN)


async def test_a_locked_key_pays_nothing(local: LocalChain, stranger: str, directory: Path) -> None:
    (directory / "password").write_text("another password")
    error = await refused(*command(local.rpc_url))
    assert (error["kind"], error["exit"]) == ("WrongPassword", Exit.CONFIGURATION)
    assert Chain(local.rpc_url).balance_wei(stranger) == 10**18
