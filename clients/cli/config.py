"""`merit config`: what holds, and where it is from."""

import os
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clients.cli.options import CONFIG_VARIABLE, ConfigOption, JsonOption, config_file
from clients.cli.reporting import emit, reporting
from process.configuration import Configuration

# Beside those of the sections.
VARIABLES = {
    CONFIG_VARIABLE: "the configuration file",
    "MERIT_PRIVATE_KEY": "key, in hex, of a process whose configuration names no key_file",
    "MERIT_PASSWORD": "password of a keystore whose configuration names no password_file",
    "MERIT_RAY_ADDRESS": "Ray cluster that makes the aggregator's proofs, where its configuration names none",
    "MERIT_CACHE": "where strings and keys are kept; default: meritproof in the user's cache directory",
    "MERIT_SRS": "directory of kzg{k}.srs files, and kzg{k}.next beside those that proofs are made under",
}
SECRET_VARIABLES = ("MERIT_PRIVATE_KEY", "MERIT_PASSWORD")


def register(app: typer.Typer) -> None:
    app.command("config")(config)


def kinds() -> dict[str, type[Configuration]]:
    """Every section that a process reads, and its type."""
    from aggregator.config import AggregatorConfig
    from clients.config import OwnerConfig, TrainerConfig
    from clients.connection import UserConfig

    return {"aggregator": AggregatorConfig, "client": UserConfig, "owner": OwnerConfig, "trainer": TrainerConfig}


def config(
    section: Annotated[
        str | None, typer.Argument(help="aggregator, client, owner or trainer; default: those that are configured.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prints every value of the configuration with its source: default, file or environment. Secrets are masked."""
    if section is not None and section not in ("aggregator", "client", "owner", "trainer"):
        raise typer.BadParameter("it must be aggregator, client, owner or trainer", param_hint="SECTION")

    def work() -> None:
        from process.configuration import explained, named_sections

        path = config_file(config)
        wanted = [section] if section else [name for name in named_sections(path) if name in kinds()]
        settings = [setting for name in wanted for setting in explained(kinds()[name], name, path).settings]
        rows: list[dict[str, Any]] = [{"name": s.name, "value": s.value, "source": s.source} for s in settings]
        variables = {
            name: "***" if name in SECRET_VARIABLES else os.environ[name] for name in VARIABLES if name in os.environ
        }
        document = {"file": None if path is None else str(path), "settings": rows, "environment": variables}
        emit(document, as_json=as_json, draw=lambda out: _draw(out, document))

    reporting(work, as_json=as_json)


def _draw(out: Console, document: dict[str, Any]) -> None:
    out.print(f"file: {document['file'] or 'none'}")
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for row in document["settings"]:
        value = "-" if row["value"] is None else escape(str(row["value"]))
        dim = row["source"] == "default"
        table.add_row(row["name"], value, escape(row["source"]), style="dim" if dim else "")
    for name, value in document["environment"].items():
        table.add_row(name, escape(value), "environment")
    if table.row_count:
        out.print(table)
    else:
        out.print("Nothing is configured: docs/cli.md has an example of a merit.toml.")
