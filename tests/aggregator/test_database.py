"""One process at a time holds a database; what it says is typed; its errors are, too."""

import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import OperationalError

from aggregator import database
from aggregator.database import Database
from aggregator.errors import StateInUse, StateTakenOver, StateUnavailable
from aggregator.tables import TaskRow
from process.errors import ConfigurationError
from protocol.refusals import DiskFull

IDENTITY = {"chain": "1", "market": "0xm", "aggregator": "0xa"}


def opened(url: URL, **identity: str) -> Database:
    return Database(url, IDENTITY | identity, lambda _: None)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_CLAIM_SECONDS", 0.3)


def test_two_processes_do_not_share_a_database(database_url: URL) -> None:
    first = opened(database_url)
    with pytest.raises(StateInUse):
        opened(database_url)
    first.close()
    opened(database_url).close()


def test_a_killed_process_leaves_the_database_free(database_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_CLAIM_SECONDS", 30)
    program = (
        "import os, signal, sys\n"
        "from sqlalchemy import make_url\n"
        "from aggregator.database import Database\n"
        f"held = Database(make_url(sys.argv[1]), {IDENTITY!r}, print)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    url = database_url.render_as_string(hide_password=False)
    killed = subprocess.run([sys.executable, "-c", program, url], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    opened(database_url).close()


def test_who_lost_the_lock_writes_nothing_more(database_url: URL) -> None:
    """As after a broken connection: the server gives the lock to the next one, and the first one does not know."""
    first = opened(database_url)
    first._lock.release()
    second = opened(database_url)
    with pytest.raises(StateTakenOver), first.writing("task") as session:
        session.add(TaskRow(task_id=1))
    with second.reading() as session:
        assert session.get(TaskRow, 1) is None
    first.close()
    second.close()


@pytest.mark.parametrize("key", list(IDENTITY))
def test_a_database_belongs_to_one_identity(key: str, database_url: URL) -> None:
    opened(database_url).close()
    with pytest.raises(ConfigurationError) as caught:
        opened(database_url, **{key: "another"})
    assert caught.value.field == key
    opened(database_url).close()


@pytest.mark.parametrize("of_one_process", [True, False])
def test_writers_take_turns_and_readers_see_one_moment(of_one_process: bool, database_url: URL) -> None:
    """A writer that reads first would otherwise act on what another one is about to change."""
    held, second_wrote = opened(database_url), threading.Event()
    if not of_one_process:  # then the engine's own lock is what there is
        held._turn = threading.Semaphore(2)  # type: ignore[assignment]

    def write_second() -> None:
        with held.writing("second") as session:
            assert session.get(TaskRow, 1) is not None
            session.add(TaskRow(task_id=2))
        second_wrote.set()

    with held.writing("first") as session:
        other = threading.Thread(target=write_second)
        other.start()
        assert not second_wrote.wait(0.5)
        with held.reading() as reader:
            assert reader.get(TaskRow, 1) is None
        session.add(TaskRow(task_id=1))
    other.join()
    with held.reading() as session:
        assert session.get(TaskRow, 1)
        with held.writing("third") as writer:
            writer.add(TaskRow(task_id=3))
        assert session.get(TaskRow, 3) is None
    held.close()


def test_a_writer_does_not_wait_for_ever(database_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.database._PATIENCE_SECONDS", 0.1)
    held = opened(database_url)
    with held.writing("first"), pytest.raises(StateUnavailable), held.writing("second"):
        pass
    with held.writing("third"):
        pass
    held.close()


def test_a_failed_transaction_leaves_nothing(database_url: URL) -> None:
    held = opened(database_url)
    with pytest.raises(ZeroDivisionError), held.writing("task") as session:
        session.add(TaskRow(task_id=1))
        session.flush()
        raise ZeroDivisionError
    with held.reading() as session:
        assert session.get(TaskRow, 1) is None
    held.close()


def test_boundaries_follow_what_is_durable(database_url: URL) -> None:
    seen: list[str] = []
    held = Database(database_url, IDENTITY, seen.append)
    with held.writing("task") as session:
        session.add(TaskRow(task_id=1))
        assert seen == []
    assert seen == ["state.task"]
    held.close()


def test_a_full_disk_is_a_refusal(tmp_path: Path) -> None:
    held = opened(URL.create("sqlite", database=str(tmp_path / "state.sqlite")))

    # SQLite's own limit stands for the disk's: the error is the same.
    @event.listens_for(held._engine, "checkout")
    def fill(connection: object, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    with pytest.raises(DiskFull), held.writing("tasks") as session:
        session.add_all(TaskRow(task_id=i) for i in range(10_000))
    with held.reading() as session:
        assert session.get(TaskRow, 1) is None
    held.close()


def test_postgresqls_full_disk_is_the_same_refusal() -> None:
    error = OperationalError("INSERT", {}, psycopg.errors.DiskFull("could not extend file"))
    with pytest.raises(DiskFull), database._typed_errors():
        raise error


def test_a_server_that_goes_away_is_told_apart(postgresql: URL) -> None:
    """The next transaction after a lost connection works again; none is half done."""
    held = opened(postgresql)
    admin = psycopg.connect(postgresql.render_as_string(hide_password=False), autocommit=True)
    with admin, pytest.raises(StateUnavailable), held.writing("task") as session:
        [number] = session.execute(text("SELECT pg_backend_pid()")).one()
        session.add(TaskRow(task_id=7))
        session.flush()
        admin.execute("SELECT pg_terminate_backend(%s)", [number])
        session.execute(text("SELECT 1"))
    with held.writing("task") as session:
        assert session.get(TaskRow, 7) is None
        session.add(TaskRow(task_id=7))
    held.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody:secret@127.0.0.1:1/none",
        "sqlite:////proc/none/state.sqlite",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_database_that_does_not_open_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        opened(make_url(url))
    assert caught.value.field == "state_url"
    assert "secret" not in str(caught.value)
