"""Runs commands of `merit` in this process."""

import asyncio
import json
from typing import Any

from typer.testing import CliRunner

from clients.cli import app


async def merit(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    done = await asyncio.to_thread(CliRunner().invoke, app, arguments, prog_name="merit")
    return done.exit_code, done.stdout, done.stderr


async def refused(*arguments: str) -> dict[str, Any]:
    """The error that a command prints as JSON, which says what its exit code and standard error do."""
    code, out, errors = await merit(*arguments, "--json")
    error: dict[str, Any] = json.loads(out)["error"]
    assert error["exit"] == code
    assert errors.startswith(f"merit: {error['message']}")
    assert error["next"] in errors
    assert "Traceback" not in errors
    return error
