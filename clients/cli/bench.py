"""The options of `merit bench`; what they do is loaded when it runs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from clients.cli.options import JsonOption
from clients.cli.reporting import reporting


def register(app: typer.Typer) -> None:
    app.command()(bench)


def bench(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "--models", help="A known model, or your own as pkg.mod:factory; repeatable. Default: all known."
        ),
    ] = None,
    slots: Annotated[list[int] | None, typer.Option(help="Updates in the round; repeatable. [default: 10]")] = None,
    bits: Annotated[
        list[int] | None, typer.Option(help="Width of an entry, 4, 8 or 16; repeatable. [default: 8]")
    ] = None,
    runs: Annotated[int, typer.Option(help="Rounds and proofs that medians are taken of.")] = 3,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also the lower bound, the last layer alone, and ezkl's circuit.")
    ] = False,
    growth: Annotated[
        int | None,
        typer.Option(metavar="K", help="Also how time and memory grow with slots, and with dim up to 2^K rows."),
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="JSON lines that each measurement is written to when it is done.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Measure only what the results do not hold yet.")] = False,
    out: Annotated[Path | None, typer.Option(help="A directory for Markdown, JSON and a picture.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Instead: where the time of one round goes.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Instead: compare what does not depend on the machine with the baseline.")
    ] = False,
    accept: Annotated[bool, typer.Option("--accept", help="With --quick: make the figures the baseline.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What a round of a real model costs: every part's time, memory, bytes and gas."""
    console = Console(stderr=True)

    def work() -> None:
        from clients import bench as run

        if quick:
            run.run_quick(console, accept=accept, as_json=as_json)
            return
        if profile:
            run.run_profile((models or ["lenet5"])[0], (slots or [10])[0], (bits or [8])[0], console, as_json=as_json)
            return
        selection = run.Selection(
            models=models or (), slots=slots or (10,), bits=bits or (8,), runs=runs, compare=compare, growth=growth
        )
        run.run_bench(selection, console, results=results, resume=resume, out=out, as_json=as_json)

    reporting(work, as_json=as_json)
