"""Tasks in an ERC-20, from the offer's file to the pay, as `merit` makes and shows them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from clients import Trainer
from clients.config import TrainerConfig
from clients.run import run_trainer
from contracts.bindings import NATIVE, TaskState, Token, artifacts
from contracts.bindings.deploy import create
from process.exits import Exit
from process.keyfile import create_key_file
from protocol.terms import UnacceptableTerms
from tests.clients.cli.running import merit, refused
from tests.clients.test_trainer import STEP, honest, owner, trainer
from tests.stage import BOND_WEI, REWARD_WEI, STATEMENT, TRAINERS, Stage

TOTAL = 2 * REWARD_WEI

TASK = f"""
reward_per_round_wei = {REWARD_WEI}
bond_wei = {BOND_WEI}
rounds = 2
quorum = {TRAINERS}

[statement]
slots = {STATEMENT.slots}
bits = {STATEMENT.fmt.bits}
fraction_bits = {STATEMENT.fmt.fraction_bits}
rule_params = {{ f = 1 }}

[genesis]
file = "start.safetensors"
"""


@pytest.fixture(autouse=True)
def proven_by_reference(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands derive the same keys as the stage's aggregator."""
    monkeypatch.setattr("clients.connection.Prover", lambda: stage.prover)


def minted(stage: Stage, name: str = "PlainToken", *others: str) -> Token:
    """A token of which owner, operator and others hold some."""
    artifact = artifacts.forge(name, "Tokens")
    address, _ = create(stage.chain, stage.owner, artifact)
    contract: Any = stage.chain.contract(address, artifact.abi)
    for holder in (stage.owner.address, stage.operator.address, *others):
        stage.chain.send(stage.owner, contract.functions.mint(holder, 10 * TOTAL))
    return Token(stage.chain, address)


def configured(directory: Path, stage: Stage, port: int, *, file: str = TASK) -> None:
    create_key_file(directory / "key", stage.owner.key.hex())
    save_file({"parameters": STEP.astype(np.float32)}, directory / "start.safetensors")
    (directory / "task.toml").write_text(file)
    (directory / "merit.toml").write_text(
        f'[chain]\nrpc_url = "{stage.rpc_url}"\nmarket = "{stage.market.address}"\n'
        f'[client]\naggregator_target = "127.0.0.1:{port}"\nkey_file = "key"\ndirectory = "data"\n'
        f'aggregator = "{stage.operator.address}"\nverifier = "{stage.verifier}"\n'
    )


async def test_a_market_in_a_token(stage: Stage, directory: Path) -> None:
    token = await asyncio.to_thread(minted, stage)
    async with stage.running(tokens=(token.address,)) as (aggregator, client):
        configured(directory, stage, aggregator.port)
        code, out, errors = await merit("task", "create", "task.toml", "--token", token.address, "--json")
        assert code == Exit.OK, errors
        made = json.loads(out)
        assert made["token"] == {"address": token.address, "symbol": "P", "decimals": 18}
        assert made["reward_wei"] == str(TOTAL)
        assert token.balance(stage.market.address) == TOTAL
        assert token.allowance(stage.owner.address, stage.market.address) == 0
        task_id = made["task_id"]
        running = [trainer(stage, client, task_id, i).run(honest(i)) for i in range(TRAINERS - 1)]
        last = trainer(stage, client, task_id, TRAINERS - 1)
        async with asyncio.TaskGroup() as group:
            paid = [group.create_task(run) for run in running]
            group.create_task(_without_withdrawal(last, honest(0)))
        refunded = await owner(stage, client).withdraw(task_id)
    assert stage.market.task(task_id).state == TaskState.CLOSED
    assert token.allowance(stage.operator.address, stage.market.address) == 0
    for run, account in zip(paid, stage.trainers, strict=False):
        assert token.balance(account.address) == run.result() > 0
    account = stage.trainers[TRAINERS - 1].address
    owed = TOTAL - sum(run.result() for run in paid) - refunded
    assert stage.market.credit(task_id, account) == (owed, True)

    code, out, _ = await merit("task", "show", str(task_id), "--no-checks", "--json")
    assert code == Exit.OK
    document = json.loads(out)
    assert document["token"]["symbol"] == "P"
    assert {"account": account, "role": "trainer", "amount_wei": str(owed), "claimable": True} in document["credits"]
    code, out, _ = await merit("task", "show", str(task_id), "--no-checks")
    assert f"0.{REWARD_WEI:018d}".rstrip("0") + f" P ({REWARD_WEI:,} units)" in out
    assert f"P ({owed:,} units)" in out
    assert "wei" not in [word for word in out.split() if not word.endswith("_wei")]

    withdraw = ("withdraw", "--task", str(task_id), "--account")
    code, out, errors = await merit(*withdraw, account)
    assert code == Exit.OK, errors
    assert f"P ({owed:,} units) to {account}" in out
    assert token.balance(account) == owed
    code, out, _ = await merit(*withdraw, stage.operator.address, "--json")
    assert json.loads(out)["amount_wei"] == str(BOND_WEI)
    assert json.loads(out)["token"]["address"] == token.address
    assert token.balance(stage.market.address) == 0
    assert (await refused(*withdraw, account))["kind"] == "NothingToWithdraw"


async def test_a_stake_in_a_token_is_allowed_and_taken_as_agreed(stage: Stage) -> None:
    account, market = stage.trainers[0], stage.market
    token = await asyncio.to_thread(minted, stage, "PlainToken", account.address)
    config = stage.task_config(token=token.address, stake_wei=70)
    await asyncio.to_thread(token.allow, stage.owner, market.address, config.total_reward_wei)
    task_id = await asyncio.to_thread(market.create_task, stage.owner, config)
    async with stage.running(tokens=(token.address,)) as (_, client):
        with pytest.raises(UnacceptableTerms, match="token"):
            await trainer(stage, client, task_id, 0, max_stake_wei=70).join()
        assert token.allowance(account.address, market.address) == 0
        await trainer(stage, client, task_id, 0, max_stake_wei=70, stake_token=token.address).join()
    assert market.has_joined(task_id, account.address)
    assert (token.balance(account.address), token.allowance(account.address, market.address)) == (10 * TOTAL - 70, 0)


async def _without_withdrawal(last: Any, train: Any) -> None:
    async for round in last.rounds():
        await round.submit(train(round.parameters))


async def test_the_token_of_a_file_is_taken_back_with_the_task(stage: Stage, directory: Path) -> None:
    """A file's token may be written in any letters; an allowance that is there already is used."""
    token = await asyncio.to_thread(minted, stage)
    await asyncio.to_thread(token.allow, stage.owner, stage.market.address, TOTAL)
    before = stage.chain.w3.eth.get_transaction_count(stage.owner.address)
    async with stage.running(tokens=(token.address,)) as (aggregator, _):
        configured(directory, stage, aggregator.port, file=f'token = "{token.address.lower()}"\n{TASK}')
        code, out, errors = await merit("task", "create", "task.toml")
        assert code == Exit.OK, errors
    assert f"P ({TOTAL:,} units) escrowed" in out
    assert stage.chain.w3.eth.get_transaction_count(stage.owner.address) == before + 1
    task_id = stage.market.task_count()
    assert stage.market.task(task_id).config.token == token.address != NATIVE
    code, out, _ = await merit("task", "close", str(task_id))
    assert code == Exit.OK
    assert f"P ({TOTAL:,} units) came back" in out
    assert token.balance(stage.owner.address) == 10 * TOTAL


async def test_a_token_with_a_fee_is_explained(stage: Stage, directory: Path) -> None:
    token = await asyncio.to_thread(minted, stage, "FeeToken")
    configured(directory, stage, 1)
    error = await refused("task", "create", "task.toml", "--token", token.address)
    assert (error["kind"], error["exit"]) == ("FeeOnTransferToken", Exit.FAILED)
    assert f"requiredWei={TOTAL}, receivedWei={TOTAL - 1}" in error["message"]
    assert "keeps a part of what is sent" in error["next"]
    assert token.balance(stage.owner.address) == 10 * TOTAL
    assert stage.market.task_count() == 0


async def test_tokens_that_cannot_be_paid_in(stage: Stage, directory: Path) -> None:
    configured(directory, stage, 1)
    create_task = ("task", "create", "task.toml", "--token")
    error = await refused(*create_task, stage.outsider.address)
    assert (error["kind"], error["exit"]) == ("NotAContract", Exit.CONFIGURATION)
    error = await refused(*create_task, "0x12")
    assert (error["kind"], error["exit"]) == ("ValueOutOfRange", Exit.CONFIGURATION)
    assert error["field"] == "token"
    token = await asyncio.to_thread(minted, stage)
    create_key_file(directory / "poor", stage.outsider.key.hex())
    error = await refused(*create_task, token.address, "--key-file", "poor")
    assert (error["kind"], error["exit"]) == ("InsufficientFunds", Exit.CHAIN)
    assert f"holds 0 units of {token.address}" in error["message"]
    token = await asyncio.to_thread(minted, stage, "RefusingToken")
    error = await refused(*create_task, token.address)
    assert (error["kind"], error["exit"]) == ("SafeERC20FailedOperation", Exit.FAILED)


class Stop(Exception):
    """Ends a command once it has made its trainer."""


async def test_the_agreed_stake_reaches_the_trainer(
    stage: Stage, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line, from a program, and from a file."""
    made: list[dict[str, Any]] = []

    def make(**fields: Any) -> None:
        made.append(fields)
        raise Stop

    for place in ("clients.trainer", "clients.blocking", "clients.run"):
        monkeypatch.setattr(f"{place}.AsyncTrainer", make)
    token = stage.outsider.address
    (directory / "user.py").write_text("def train(parameters, round, learning_rate): return parameters")
    configured(directory, stage, 1)
    await merit("train", *("--task", "1", "--script", "user.py"), *("--max-stake-wei", "7", "--stake-token", token))
    with pytest.raises(Stop):
        await asyncio.to_thread(lambda: Trainer.connect("merit.toml", task=1, max_stake_wei=7, stake_token=token))
    config = TrainerConfig(
        rpc_url=stage.rpc_url,
        market=stage.market.address,
        aggregator_target="127.0.0.1:1",
        key_file=directory / "key",
        directory=directory / "data",
        task_id=1,
        shard=0,
        max_stake_wei=7,
        stake_token=token,
    )
    with pytest.raises(Stop):
        await run_trainer(config)
    assert [(fields["max_stake_wei"], fields["stake_token"]) for fields in made] == [(7, token)] * 3
