"""`merit`: the command line."""

import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from clients.bench_command import bench

app = typer.Typer(
    help="A market for training models together, paid by proven contribution.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[Path, typer.Option("--config", help="A TOML or JSON file.", exists=True, dir_okay=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
RpcOption = Annotated[str | None, typer.Option("--rpc", metavar="URL", help="An Ethereum node.")]


@app.command()
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
    from clients.attacks.group import parse  # noqa: PLC0415
    from clients.demo.display import Display  # noqa: PLC0415
    from clients.demo.plan import Plan  # noqa: PLC0415
    from clients.demo.report import draw, print_summary  # noqa: PLC0415
    from clients.demo.run import Where, run_demo  # noqa: PLC0415

    if chain not in ("embedded", "anvil"):
        raise typer.BadParameter("it must be embedded or anvil", param_hint="--chain")
    where = Where(name="node", rpc_url=rpc, funder_key_file=funder_key_file) if rpc else Where(name=chain)
    console = Console(stderr=as_json)

    def work() -> None:
        attackers = tuple(parse(text) for text in attack) if attack else Plan.attackers
        plan = Plan(rounds=rounds, seed=seed, attackers=attackers)
        summary = run_demo(plan, where, out, Display(console))
        draw(summary, out / "report.png")
        print_summary(console, summary)
        console.print(f"{out}/: summary.json, report.png, every proof and model; check all of it: merit verify {out}")
        if as_json:
            print(summary.model_dump_json(indent=2))

    _reporting(work)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="What `merit demo`, or an owner, wrote.", exists=True, file_okay=False)],
    rpc: RpcOption = None,
    market: Annotated[str | None, typer.Option(help="Address of the market that you trust.")] = None,
    max_logrows: Annotated[int, typer.Option(help="Refuse larger domains: 2^k rows take 128 bytes each.")] = 22,
    as_json: JsonOption = False,
) -> None:
    """Checks a finished task again: offline from its files alone, and against a chain if one is given."""
    from clients.bundle import Bundle  # noqa: PLC0415
    from clients.verify import verify_bundle  # noqa: PLC0415

    console = Console(stderr=as_json)

    def show(what: str, why: str) -> None:
        console.print(f"[red]✗[/red] {what}: {why}" if why else f"[green]✓[/green] {what}", highlight=False)

    def work() -> None:
        report = verify_bundle(Bundle(path), rpc_url=rpc, market=market, max_logrows=max_logrows, listener=show)
        for note in report.notes:
            console.print(f"[yellow]![/yellow] {note}", highlight=False)
        if as_json:
            checks = [{"check": what, "ok": not why, "reason": why} for what, why in report.checks]
            print(json.dumps({"ok": report.ok, "checks": checks, "notes": report.notes}, indent=2))
        if not report.ok:
            console.print("[red]does not verify[/red]")
            raise typer.Exit(1)
        console.print(f"[green]verified[/green]: {len(report.checks)} checks hold")

    _reporting(work)


@app.command()
def chain(port: Annotated[int, typer.Option(help="On the loopback interface.")] = 8545) -> None:
    """Runs the embedded chain, for trying things out; its accounts' keys are public."""
    from contracts.bindings import devchain  # noqa: PLC0415

    sys.argv = ["merit chain", "--port", str(port)]
    devchain.main()


@app.command()
def aggregator(config: ConfigOption) -> None:
    """Serves the tasks that name this aggregator."""
    from aggregator.config import AggregatorConfig  # noqa: PLC0415
    from aggregator.service import serve  # noqa: PLC0415

    _serve(serve, AggregatorConfig, config)


@app.command()
def owner(config: ConfigOption) -> None:
    """Creates a task, checks each new model, takes back what is left."""
    from clients.config import OwnerConfig  # noqa: PLC0415
    from clients.run import run_owner  # noqa: PLC0415

    _serve(run_owner, OwnerConfig, config)


@app.command()
def trainer(config: ConfigOption) -> None:
    """Takes part in a task until it is closed."""
    from clients.config import TrainerConfig  # noqa: PLC0415
    from clients.run import run_trainer  # noqa: PLC0415

    _serve(run_trainer, TrainerConfig, config)


rules_app = typer.Typer(help="The rules that a task can name.", no_args_is_help=True)
app.add_typer(rules_app, name="rules")


@rules_app.command("list")
def rules_list(as_json: JsonOption = False) -> None:
    """Every outlier rule and every contribution rule, with its formula."""
    from clients.rules import print_rules  # noqa: PLC0415

    _reporting(lambda: print_rules(Console(), as_json))


@rules_app.command("show")
def rules_show(
    name: Annotated[str, typer.Argument(help="A rule, or two as outlier+contribution.")], as_json: JsonOption = False
) -> None:
    """Formula, source, parameters, limits and cost of a rule."""
    from clients.rules import print_rule  # noqa: PLC0415

    _reporting(lambda: print_rule(Console(), name, as_json))


app.command()(bench)

srs_app = typer.Typer(help="Structured reference strings.", no_args_is_help=True)
app.add_typer(srs_app, name="srs")


@srs_app.command("generate")
def srs_generate(
    k: Annotated[int, typer.Argument(min=1, max=26, help="log2 of the number of powers.")],
    directory: Annotated[Path | None, typer.Option(help="Where; default: the cache.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Makes a string for tests: whoever makes one could forge proofs under it."""
    from clients.strings import generate_string  # noqa: PLC0415

    _reporting(lambda: generate_string(k, directory, Console(stderr=True), as_json))


@srs_app.command("check")
def srs_check(
    file: Annotated[Path, typer.Argument(help="A string in halo2's format.", exists=True, dir_okay=False)],
    extend_from: Annotated[
        Path | None,
        typer.Option(
            help="A larger string of the same ceremony: writes the side file that proofs need.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Checks every point of a string, and says whose it is."""
    from clients.strings import check_string  # noqa: PLC0415

    _reporting(lambda: check_string(file, extend_from, Console(stderr=True), as_json))


def _serve(run: Callable[[Any], Coroutine[Any, Any, object]], kind: Any, path: Path) -> None:
    import asyncio  # noqa: PLC0415

    from process.configuration import load  # noqa: PLC0415

    _reporting(lambda: asyncio.run(run(load(kind, path))))


def _reporting(work: Callable[[], object]) -> None:
    """Runs a command; what a user can do something about is one line, not a traceback."""
    from circuits.errors import CircuitError  # noqa: PLC0415
    from clients.bundle import BundleError  # noqa: PLC0415
    from clients.demo.processes import PartyFailed  # noqa: PLC0415
    from clients.errors import ClientError  # noqa: PLC0415
    from contracts.bindings import BindingsError  # noqa: PLC0415
    from process.errors import ConfigurationError, KeyFileError  # noqa: PLC0415
    from protocol.refusals import Refusal  # noqa: PLC0415
    from protocol.terms import UnacceptableTerms  # noqa: PLC0415

    expected = (
        BindingsError, BundleError, CircuitError, ClientError, ConfigurationError, FileExistsError, KeyFileError,
        PartyFailed, Refusal, UnacceptableTerms,
    )  # fmt: skip
    try:
        work()
    except expected as error:
        print(f"merit: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
