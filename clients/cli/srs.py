"""`merit srs`."""

from pathlib import Path
from typing import Annotated

import typer

from clients.cli.options import JsonOption
from clients.cli.reporting import notes, reporting


def register(app: typer.Typer) -> None:
    app.add_typer(srs_app, name="srs")


srs_app = typer.Typer(help="Structured reference strings.", no_args_is_help=True)


@srs_app.command("generate")
def srs_generate(
    k: Annotated[int, typer.Argument(min=1, max=26, help="log2 of the number of powers.")],
    directory: Annotated[Path | None, typer.Option(help="Where; default: the cache.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Makes a string for tests: whoever makes one could forge proofs under it."""
    from clients.strings import generate_string

    reporting(lambda: generate_string(k, directory, notes(True), as_json), as_json=as_json)


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
    from clients.strings import check_string

    reporting(lambda: check_string(file, extend_from, notes(True), as_json), as_json=as_json)
