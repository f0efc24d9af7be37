"""`merit rules`."""

from typing import Annotated

import typer

from clients.cli.options import JsonOption
from clients.cli.reporting import console, reporting


def register(app: typer.Typer) -> None:
    app.add_typer(rules_app, name="rules")


rules_app = typer.Typer(help="The rules that a task can name.", no_args_is_help=True)


@rules_app.command("list")
def rules_list(as_json: JsonOption = False) -> None:
    """Every outlier rule and every contribution rule, with its formula."""
    from clients.rules import print_rules

    reporting(lambda: print_rules(console(), as_json), as_json=as_json)


@rules_app.command("show")
def rules_show(
    name: Annotated[str, typer.Argument(help="A rule, or two as outlier+contribution.")], as_json: JsonOption = False
) -> None:
    """Formula, source, parameters, limits and cost of a rule."""
    from clients.rules import print_rule

    reporting(lambda: print_rule(console(), name, as_json), as_json=as_json)
