"""The generated parts of docs/cli.md. `python -m clients.cli.document docs/cli.md` renews them."""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

_MARK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(page: str) -> str:
    """The page with its generated parts as they are now."""
    parts = {"commands": commands, "fields": fields, "variables": variables}
    return _MARK.sub(lambda found: f"{found[1]}{parts[found[2]]()}{found[3]}", page)


def leaves() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, in the order of the help."""
    from clients.cli import app

    yield from _leaves("merit", typer.main.get_command(app))


def commands() -> str:
    """A heading, a sentence and a table for each command."""
    return "\n".join(_command(name, command) for name, command in leaves()) + "\n"


def fields() -> str:
    """A table for each section, and one for a task's file."""
    from clients.cli.config import kinds
    from clients.offer_file import OfferFile
    from process.configuration import CHAIN, ChainConfig

    tables: dict[str, type[BaseModel]] = {CHAIN: ChainConfig, **kinds()}
    described = [_table(f"[{name}]", kind, hidden=() if name == CHAIN else tuple(ChainConfig.model_fields))
                 for name, kind in tables.items()]  # fmt: skip
    return "\n".join([*described, _table("A task's file", OfferFile)]) + "\n"


def variables() -> str:
    """Variables beside those of the sections."""
    from clients.cli.config import VARIABLES

    rows = [f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items()]
    return "\n".join(["| variable | |", "|---|---|", *rows]) + "\n"


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for child, inner in command.commands.items():
        yield from _leaves(f"{name} {child}", inner)


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    title = " ".join([name, *(_metavar(a) for a in arguments)])
    rows = [_parameter(p) for p in command.params]
    table = ["| | |", "|---|---|", *rows] if rows else []
    return "\n".join([f"### `{title}`", "", inspect.cleandoc(command.help or ""), "", *table, ""])


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        names = f"`{_metavar(parameter)}`"
    else:
        flags = [*parameter.opts, *parameter.secondary_opts]
        names = ", ".join(f"`{flag}`" for flag in flags)
        if not parameter.is_flag:
            names += f" {_metavar(parameter)}"
    default = parameter.default
    shown = not (default is None or isinstance(default, bool) or callable(default) or default in ((), []))
    help_text = (parameter.help or "").rstrip(".")
    suffix = f" (default {default})" if shown and "default" not in help_text else ""
    required = " **required**" if parameter.required and parameter.param_type_name == "option" else ""
    return f"| {names}{required} | {_cell(help_text + suffix)} |"


def _metavar(parameter: Any) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    if parameter.param_type_name == "argument":
        return str(parameter.name.upper())
    return {int: "N", float: "N", Path: "PATH"}.get(parameter.type_descriptor.annotation, "TEXT")


def _table(title: str, kind: type[BaseModel], hidden: tuple[str, ...] = ()) -> str:
    rows = [_field(name, field) for name, field in kind.model_fields.items() if name not in hidden]
    return "\n".join([f"### {title}", "", "| field | default | |", "|---|---|---|", *rows, ""])


def _field(name: str, field: Any) -> str:
    inner = field.annotation
    description = (field.description or "").rstrip(".")
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        parts = [_nested(name, part) for name, part in inner.model_fields.items()]
        return f"| `{name}` | | {_cell('; '.join([description, *parts]))} |"
    return f"| `{name}` | {_cell(_default(field))} | {_cell(description)} |"


def _nested(name: str, field: Any) -> str:
    default = _default(field)
    return f"`{name}`{f' ({default})' if default else ''}: {(field.description or '').rstrip('.')}"


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        value = field.default_factory()
        return "the user's data directory" if isinstance(value, Path) else str(value)
    value = field.default
    if value is None or value is PydanticUndefined or value in ("", ()):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(renewed(target.read_text()))
