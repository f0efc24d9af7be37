"""`merit demo`, `merit verify`, `merit chain`."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clients.cli.options import JsonOption, KeyOption, PasswordOption, RpcOption
from clients.cli.reporting import emit, notes, reporting
from process.exits import Exit


def register(app: typer.Typer) -> None:
    for command in (demo, verify, chain):
        app.command()(command)


def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("out/demo"),
    chain: Annotated[str, typer.Option(help="embedded (py-evm) or anvil, started for the run.")] = "embedded",
    rpc: RpcOption = None,
    funder_key_file: Annotated[Path | None, typer.Option(help="Pays on a node given by --rpc.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds of training.")] = 3,
    seed: Annotated[int, typer.Option(help="Of the data's split and of training.")] = 1,
    attack: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:COUNT", help="Who attacks how, such as alie:2; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Runs a whole market on this machine: training, gRPC, proofs, an EVM, pay-outs."""
    from clients.attacks.group import parse
    from clients.demo.display import Display
    from clients.demo.plan import Plan
    from clients.demo.report import draw, print_summary
    from clients.demo.run import Where, run_demo

    if chain not in ("embedded", "anvil"):
        raise typer.BadParameter("it must be embedded or anvil", param_hint="--chain")
    where = Where(name="node", rpc_url=rpc, funder_key_file=funder_key_file) if rpc else Where(name=chain)
    console = notes(as_json)

    def work() -> None:
        attackers = tuple(parse(text) for text in attack) if attack else Plan.attackers
        plan = Plan(rounds=rounds, seed=seed, attackers=attackers)
        summary = run_demo(plan, where, out, Display(console))
        draw(summary, out / "report.png")
        print_summary(console, summary)
        console.print(f"{out}/: summary.json, report.png, every proof and model; check all of it: merit verify {out}")
        if as_json:
            print(summary.model_dump_json(indent=2))

    reporting(work, as_json=as_json)


def verify(
    path: Annotated[Path, typer.Argument(help="What `merit demo`, or an owner, wrote.", exists=True, file_okay=False)],
    rpc: RpcOption = None,
    market: Annotated[str | None, typer.Option(help="Address of the market that you trust.")] = None,
    max_logrows: Annotated[int, typer.Option(help="Refuse larger domains: 2^k rows take 128 bytes each.")] = 22,
    key_file: KeyOption = None,
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Checks a finished task again: offline from its files alone, and against a chain if one is given.

    A last model that is sealed for the task's owner is opened with the owner's key; without it, all else is checked.
    """
    from clients.bundle import Bundle
    from clients.verify import verify_bundle
    from process.keyfile import load_account

    console = notes(as_json)

    def show(what: str, why: str) -> None:
        console.print(f"[red]✗[/red] {what}: {escape(why)}" if why else f"[green]✓[/green] {what}")

    def work() -> None:
        account = load_account(key_file, password_file=password_file) if key_file else None
        report = verify_bundle(
            Bundle(path), rpc_url=rpc, market=market, max_logrows=max_logrows, account=account, listener=show
        )
        for note in report.notes:
            console.print(f"[yellow]![/yellow] {escape(note)}")
        if as_json:
            checks = [{"check": what, "ok": not why, "reason": why} for what, why in report.checks]
            print(json.dumps({"ok": report.ok, "checks": checks, "notes": report.notes}, indent=2))
        if not report.ok:
            console.print("[red]does not verify[/red]")
            raise typer.Exit(Exit.FAILED)
        console.print(f"[green]verified[/green]: {len(report.checks)} checks hold")

    reporting(work, as_json=as_json)


def chain(
    port: Annotated[int, typer.Option(min=1, max=65535, help="On the loopback interface.")] = 8545,
    as_json: JsonOption = False,
) -> None:
    """Runs the embedded chain until Ctrl-C, for trying things out; its accounts' keys are public."""

    def work() -> None:
        from contracts.bindings.devchain import LOOPBACK, funded_keys
        from contracts.bindings.devserver import serve

        def listening(url: str) -> None:
            document = {"rpc_url": url, "accounts": len(funded_keys())}
            emit(document, as_json=as_json, draw=lambda out: out.print(f"embedded chain on {url}; Ctrl-C ends it"))
            sys.stdout.flush()

        asyncio.run(serve(LOOPBACK, port, funded_keys(), until_stdin_closes=False, listening=listening))

    reporting(work, as_json=as_json)
