"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

CONFIG_VARIABLE = "MERIT_CONFIG"
DEFAULT_CONFIG = Path("merit.toml")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar=CONFIG_VARIABLE,
        show_envvar=True,
        help=f"Configuration, TOML or JSON; default: {DEFAULT_CONFIG} here, if there is one.",
        exists=True,
        dir_okay=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
LinesOption = Annotated[
    bool, typer.Option("--json", help="Print events as JSON lines, as they are anyway where output is no terminal.")
]
RpcOption = Annotated[str | None, typer.Option("--rpc", metavar="URL", help="An Ethereum node.")]
MarketOption = Annotated[str | None, typer.Option("--market", metavar="ADDRESS", help="The market.")]
TargetOption = Annotated[
    str | None, typer.Option("--aggregator", metavar="HOST:PORT", help="The aggregator's gRPC service.")
]
KeyOption = Annotated[
    Path | None, typer.Option("--key-file", metavar="FILE", help="Keystore, or private key in hex; yours alone.")
]
PasswordOption = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="The keystore's password; yours alone, or a pipe."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before anything is paid.")]
TaskOption = Annotated[int, typer.Option("--task", min=1, metavar="ID", help="The task.")]


def config_file(given: Path | None) -> Path | None:
    """The configuration that a command reads: the one given, or the usual one if it is there."""
    return given or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)
