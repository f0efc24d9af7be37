"""`merit task create`, `show`, `close`, and `merit withdraw`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clients.cli.amounts import amount
from clients.cli.options import (
    ConfigOption,
    JsonOption,
    KeyOption,
    MarketOption,
    PasswordOption,
    RpcOption,
    TaskOption,
    YesOption,
    config_file,
)
from clients.cli.reporting import confirm, emit, notes, reporting
from process.exits import Exit

if TYPE_CHECKING:
    from clients.connection import Connection, UserConfig
    from clients.offer_file import OfferFile
    from clients.owner import AsyncOwner, CheckedModel
    from clients.parameters import Vector
    from clients.tasks import TokenDocument

tasks = typer.Typer(help="Tasks of a market.", no_args_is_help=True)

TaskArgument = Annotated[int, typer.Argument(min=1, metavar="ID", help="The task.")]


def register(app: typer.Typer) -> None:
    app.add_typer(tasks, name="task")
    app.command()(withdraw)


@tasks.command()
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its terms, as TOML.", exists=True, dir_okay=False)],
    config: ConfigOption = None,
    key_file: KeyOption = None,
    password_file: PasswordOption = None,
    token: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="ERC-20 of reward, bond and stakes; default: the file's.")
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Creates a task: escrows the whole reward, and sends the first model to the aggregator.

    Of an ERC-20, the market is allowed to take exactly the reward, unless it may take as much already.

    Reads the sections [chain] and [client]. The file's fields are in docs/cli.md.
    """

    def work() -> None:
        from clients.connection import configured
        from clients.offer_file import first_parameters, read_offer
        from clients.tasks import denomination
        from contracts.bindings import Chain
        from process import logs

        logs.configure("warning", human=True, aside=True)
        found = configured(config_file(config), {"key_file": key_file, "password_file": password_file})
        offer = read_offer(file, aggregator=found.aggregator, verifier=found.verifier, token=token)
        start = first_parameters(offer.genesis)
        paid_in = denomination(Chain(found.rpc_url), offer.token)
        total = amount(offer.reward_per_round_wei * offer.rounds, paid_in)
        rule = f"{offer.statement.outlier}+{offer.statement.contribution}"
        asked = f"{offer.rounds} rounds of {rule} on {len(start):,} parameters, for {total} in all?"
        confirm(asked, yes=yes or as_json)
        with notes(as_json).status("deriving keys, creating the task, sending the first model"):
            document = asyncio.run(_create(found, offer, start)) | {"token": _document(paid_in)}
        emit(
            document,
            as_json=as_json,
            draw=lambda out: out.print(
                f"[green]✓[/green] task [bold]{document['task_id']}[/bold]: {total} escrowed, model sent\n"
                f"  Trainers take part with: merit train --task {document['task_id']} --script FILE",
                soft_wrap=True,
            ),
        )

    reporting(work, as_json=as_json)


async def _create(config: "UserConfig", offer: "OfferFile", start: "Vector") -> dict[str, Any]:
    from clients.connection import connected
    from clients.run import offer_of, statement_of
    from store.cid import to_text

    async with connected(config) as connection:
        owner = _owner(connection)
        statement = statement_of(offer.statement, dim=len(start))
        task_id = await owner.create_task(statement, start, offer_of(offer))
        terms = (await asyncio.to_thread(connection.market.task, task_id)).config
        return {
            "task_id": task_id,
            "chain_id": connection.market.chain.chain_id,
            "market": connection.market.address,
            "owner": connection.account.address,
            "reward_wei": str(terms.total_reward_wei),
            "genesis_cid": to_text(terms.genesis_cid),
        }


@tasks.command()
def show(
    task: TaskArgument,
    config: ConfigOption = None,
    rpc: RpcOption = None,
    market: MarketOption = None,
    checks: Annotated[bool, typer.Option(help="Derive what the terms claim, and compare; takes seconds.")] = True,
    as_json: JsonOption = False,
) -> None:
    """A task as the chain has it: terms, rounds, who is owed what. Needs no key.

    Ends with code 1 if the terms are not those of an honest task.
    """

    def work() -> None:
        from circuits.prover import Prover
        from clients.cli.task_view import draw
        from clients.tasks import describe

        where = _where(config, rpc, market)
        with notes(as_json).status("asking the chain, deriving keys"):
            if checks:
                with Prover() as prover:
                    document = describe(where, task, prover)
            else:
                document = describe(where, task, None)
        emit(document.model_dump(mode="json"), as_json=as_json, draw=lambda out: draw(out, document))
        if not all(check.ok for check in document.checks):
            raise typer.Exit(Exit.FAILED)

    reporting(work, as_json=as_json)


@tasks.command()
def model(
    task: TaskArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the model goes, as safetensors.")],
    version: Annotated[
        int | None, typer.Option(min=0, help="0 is the first model, R the one after round R; default: the newest.")
    ] = None,
    config: ConfigOption = None,
    key_file: KeyOption = None,
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetches a model from the aggregator, and checks it against the commitment on chain.

    A last model that is sealed for the task's owner needs the owner's key. Reads the sections [chain] and [client].
    """

    def work() -> None:
        from circuits.paths import write_atomically
        from clients.connection import configured
        from process import logs
        from store.cid import to_text

        logs.configure("warning", human=True, aside=True)
        found = configured(config_file(config), {"key_file": key_file, "password_file": password_file})
        with notes(as_json).status("fetching and checking the model"):
            fetched = asyncio.run(_fetch(found, task, version))
        write_atomically(out, fetched.data)
        sealed = fetched.sealed is not None
        document = {"task_id": task, "version": fetched.version, "cid": to_text(fetched.cid), "sealed": sealed}
        how = ", unsealed with your key" if sealed else ""
        said = f"[green]✓[/green] model {fetched.version} of task {task} opens the commitment on chain{how}: {out}"
        emit(document, as_json=as_json, draw=lambda console: console.print(said, soft_wrap=True))

    reporting(work, as_json=as_json)


async def _fetch(config: "UserConfig", task_id: int, version: int | None) -> "CheckedModel":
    from clients.connection import connected

    async with connected(config) as connection:
        return await _owner(connection).model(task_id, version)


def _owner(connection: "Connection") -> "AsyncOwner":
    from clients.owner import AsyncOwner

    return AsyncOwner(
        market=connection.market,
        aggregator=connection.aggregator,
        account=connection.account,
        prover=connection.prover,
    )


@tasks.command()
def close(
    task: TaskArgument,
    config: ConfigOption = None,
    key_file: KeyOption = None,
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Takes back a task of yours whose bond was never posted, and withdraws its reward.

    An open task cannot be closed: it ends with its last round, when its target is met, or when a round expires.
    """

    def work() -> None:
        from contracts.bindings import TaskState
        from process.errors import ConfigurationError

        account, where = _account(config, key_file, password_file)
        view = where.task(task)
        if view.owner != account.address:
            raise ConfigurationError(f"task {task} is {view.owner}'s, and this key {account.address}'s", "key_file")
        token = _token(where, task)
        if view.state != TaskState.CLOSED:
            where.close(account, task)  # of an open one, the contract says why not
        owed_wei, _ = where.credit(task, account.address)
        amount_wei = where.withdraw(account, task) if owed_wei else 0
        emit(
            {"task_id": task, "refunded_wei": str(amount_wei), "token": _document(token)},
            as_json=as_json,
            draw=lambda out: out.print(
                f"[green]✓[/green] task {task} is closed, {amount(amount_wei, token)} came back", soft_wrap=True
            ),
        )

    reporting(work, as_json=as_json)


def withdraw(
    task: TaskOption,
    config: ConfigOption = None,
    key_file: KeyOption = None,
    password_file: PasswordOption = None,
    account: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Pay this account instead; anyone may set that off.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Collects what a task owes: a trainer's pay and stake, an owner's rest, an aggregator's bond."""

    def work() -> None:
        own, where = _account(config, key_file, password_file)
        payee = account or own.address
        token = _token(where, task)
        amount_wei = where.withdraw(own, task, payee)
        emit(
            {"task_id": task, "account": payee, "amount_wei": str(amount_wei), "token": _document(token)},
            as_json=as_json,
            draw=lambda out: out.print(f"[green]✓[/green] {amount(amount_wei, token)} to {payee}", soft_wrap=True),
        )

    reporting(work, as_json=as_json)


def _where(config: Path | None, rpc: str | None, market: str | None) -> Any:
    from contracts.bindings import Chain, Market
    from process.configuration import CHAIN, ChainConfig, settings

    found = settings(ChainConfig, CHAIN, config_file(config), {"rpc_url": rpc, "market": market})
    return Market(Chain(found.rpc_url), found.market)


def _account(config: Path | None, key_file: Path | None, password_file: Path | None) -> tuple[Any, Any]:
    from clients.connection import configured
    from contracts.bindings import Chain, Market
    from process.keyfile import load_account

    found = configured(config_file(config), {"key_file": key_file, "password_file": password_file})
    account = load_account(found.key_file, password_file=found.password_file)
    return account, Market(Chain(found.rpc_url), found.market)


def _token(market: Any, task: int) -> "TokenDocument | None":
    from clients.tasks import denomination

    return denomination(market.chain, market.task(task).config.token)


def _document(token: "TokenDocument | None") -> dict[str, Any] | None:
    return None if token is None else token.model_dump()
