"""The database behind the state, SQLite or PostgreSQL, in the hands of one process at a time.

A transaction either reads, and sees one moment, or writes, and then nobody else does: SQLite has one writer anyway, and
on PostgreSQL writers take turns at a lock. So what holds on one engine holds on the other.
"""

import fcntl
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from aggregator import migrations
from aggregator.errors import StateInUse, StateTakenOver, StateUnavailable
from aggregator.tables import IdentityRow
from process.errors import ConfigurationError
from protocol.refusals import DiskFull

_CONNECTIONS = 16
_PATIENCE_SECONDS = 30
"""For a writer's turn, a free connection, and a server that does not answer."""
_CLAIM_SECONDS = 5
"""A process that was killed may hold the database for a moment longer."""
_SESSION = "session"

# Locks of PostgreSQL are numbers, here one for each schema of a database.
_PROCESS_LOCK = "hashtextextended('merit state of ' || coalesce(current_schema(), ''), 0)"
_WRITER_LOCK = "hashtextextended('merit writer of ' || coalesce(current_schema(), ''), 0)"


class Database:
    """Open for as long as the object is; safe to share between threads.

    Args:
        identity: chain id, market and aggregator that the database belongs to.
        boundary: told of each transaction that has become durable.

    Raises:
        ConfigurationError: it is another identity's, or does not open.
        StateInUse, StateTooNew: see there.
    """

    def __init__(self, url: URL, identity: Mapping[str, str], boundary: Callable[[str], None]) -> None:
        self._shown = url.render_as_string(hide_password=True)
        self._boundary = boundary
        self._session = secrets.token_hex(16)
        self._turn = threading.Lock()
        self._engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
        self._writer = self._engine.execution_options(merit_writes=True)
        try:
            self._lock: _Lock = _FileLock(url) if url.get_backend_name() == "sqlite" else _AdvisoryLock(self._engine)
            self._take_lock()
            self._upgrade()
            self._claim(identity)
        except (DBAPIError, psycopg.Error) as error:
            self.close()
            reason = str(getattr(error, "orig", error)).partition("\n")[0]
            raise ConfigurationError(f"state_url: {self._shown}: {reason}", "state_url") from error
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        if hasattr(self, "_lock"):
            self._lock.release()
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that sees one moment, and waits for no writer."""
        with _typed_errors(), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self, name: str) -> Iterator[Session]:
        """A transaction that nobody else writes beside.

        Raises:
            StateTakenOver, StateUnavailable, DiskFull: nothing was written.
        """
        with self._turn_to_write(), _typed_errors(), Session(self._writer) as session, session.begin():
            # The lock above is lost with its connection; this is what then keeps two processes apart.
            if getattr(session.get(IdentityRow, _SESSION), "value", None) != self._session:
                raise StateTakenOver(f"another process has opened {self._shown}")
            yield session
        self._boundary(f"state.{name}")

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        """The engines' own locks keep processes apart; threads that wait for them would poll, or hold connections."""
        if not self._turn.acquire(timeout=_PATIENCE_SECONDS):
            raise StateUnavailable("others write")
        try:
            yield
        finally:
            self._turn.release()

    def _take_lock(self) -> None:
        patiently = Retrying(
            stop=stop_after_delay(_CLAIM_SECONDS), wait=wait_fixed(0.1), retry=retry_if_result(lambda taken: not taken)
        )
        try:
            patiently(self._lock.take)
        except RetryError:
            raise StateInUse(self._shown) from None

    def _upgrade(self) -> None:
        with self._writer.connect() as connection:
            if connection.dialect.name == "sqlite":
                # Some revisions make a table anew that others refer to. It cannot be said in a transaction.
                connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
            with connection.begin():
                migrations.upgrade(connection)
            connection.invalidate()

    def _claim(self, identity: Mapping[str, str]) -> None:
        with Session(self._writer) as session, session.begin():
            for key, value in identity.items():
                row = session.get(IdentityRow, key)
                if row is None:
                    session.add(IdentityRow(key=key, value=value))
                elif row.value != value:
                    raise ConfigurationError(f"{self._shown}: is the state of {key} {row.value}, not {value}", key)
            session.merge(IdentityRow(key=_SESSION, value=self._session))


class _Lock(Protocol):
    """What one process holds of a database, and loses when it ends, however it ends."""

    def take(self) -> bool: ...

    def release(self) -> None: ...


class _FileLock:
    def __init__(self, url: URL) -> None:
        self._file = Path(f"{url.database}.lock").open("w")  # noqa: SIM115 - held until `release`

    def take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        self._file.close()


class _AdvisoryLock:
    """Lasts as long as a connection of its own."""

    # A server that hears nothing from this host any more gives the lock back after a minute.
    _KEEPALIVES = ("tcp_keepalives_idle = 30", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3")

    def __init__(self, engine: Engine) -> None:
        pooled = engine.raw_connection()
        driver = pooled.driver_connection
        assert isinstance(driver, psycopg.Connection)
        pooled.detach()
        self._connection = driver
        self._connection.autocommit = True
        for setting in self._KEEPALIVES:
            self._connection.execute(f"SET {setting}")

    def take(self) -> bool:
        row = self._connection.execute(f"SELECT pg_try_advisory_lock({_PROCESS_LOCK})").fetchone()
        return row == (True,)

    def release(self) -> None:
        self._connection.close()


def _sqlite(url: URL) -> Engine:
    if url.database is None or url.database in ("", ":memory:"):
        raise ConfigurationError("state_url: a database in memory would lose what it acknowledged", "state_url")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"state_url: {url.database}: {error.strerror}", "state_url") from error
    engine = create_engine(
        url.set(drivername="sqlite"),
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_PATIENCE_SECONDS,
        connect_args={"timeout": _PATIENCE_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # One that reads and then writes must hold the write lock from the start.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_PATIENCE_SECONDS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _PATIENCE_SECONDS},
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if _writes(connection):
            # Statements after the lock see what its former holders wrote: the isolation is READ COMMITTED.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE_SECONDS}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    return engine


def _writes(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("merit_writes"))


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if _is_disk_full(error.orig):
            raise DiskFull("storage: the disk is full") from error
        raise StateUnavailable(str(error.orig).partition("\n")[0]) from error
    except PoolTimeout as error:
        raise StateUnavailable("no connection is free") from error


def _is_disk_full(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode == sqlite3.SQLITE_FULL
    return isinstance(error, psycopg.errors.DiskFull)
