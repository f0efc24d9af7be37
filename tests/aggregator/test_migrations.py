"""Schemas of every age become the tables of today, with what is in them."""

from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, event, inspect, text

from aggregator import migrations
from aggregator.errors import StateTooNew
from aggregator.records import Block, Layer, Model, Report, Step, Update
from aggregator.state import State
from aggregator.tables import Base
from circuits.bn254 import G1Point

IDENTITY = {"chain": "1", "market": "0xm", "aggregator": "0xa"}
TRAINER = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"
POINT = G1Point(3, 5)

# As version 0.1.0 wrote it, before there were revisions.
OLD_ROWS = [
    "INSERT INTO identity VALUES ('chain', '1'), ('market', '0xm'), ('aggregator', '0xa')",
    "INSERT INTO tasks VALUES (1)",
    "INSERT INTO rounds VALUES (1, 0, 7, 99), (1, 1, 2, 199)",
    "INSERT INTO updates VALUES (1, 1, 0, :trainer, :x, :y, :cid, :signature, 5, 0, :yes, 6, '1000'),"
    " (2, 1, 1, :trainer, :y, :x, :cid, :signature, 8, 0, NULL, NULL, NULL)",
    "INSERT INTO models VALUES (1, 1, :cid, 4, :x, :y)",
    "INSERT INTO proofs VALUES (1, 0, 2, :cid)",
    "INSERT INTO arguments VALUES (:x, :y, 2)",
    "INSERT INTO journal VALUES (1, 1, 0, 1, 9, 0.5, 0, :cid), (2, 1, 0, 7, 9, 0.5, 77, :cid),"
    " (5, 1, 1, 2, 9, 0.5, 0, :cid)",
]


def fill(connection: Connection) -> None:
    x, y = (c.to_bytes(32, "big") for c in POINT)
    values = {"trainer": TRAINER, "x": x, "y": y, "cid": b"cid", "signature": b"s" * 65, "yes": True}
    for statement in OLD_ROWS:
        connection.execute(text(statement), values)
    if connection.dialect.name == "postgresql":
        for table, column in (("journal", "cursor"), ("updates", "update_id")):
            largest = f"(SELECT max({column}) FROM {table})"
            connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), {largest})"))


def first_schema(connection: Connection) -> None:
    command.upgrade(migrations.configuration(connection), migrations.FIRST)


def test_revisions_end_at_the_tables(database_url: URL) -> None:
    State(database_url, IDENTITY).close()
    with create_engine(database_url).begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        # Constraints and indexes that the comparison cannot see on SQLite.
        found = {table: constraints(connection, table) for table in Base.metadata.tables}
    with create_engine("sqlite://").begin() as connection:
        Base.metadata.create_all(connection)
        assert found == {table: constraints(connection, table) for table in Base.metadata.tables}


def constraints(connection: Connection, table: str) -> tuple[object, ...]:
    seen = inspect(connection)
    return (
        {tuple(key["column_names"]) for key in seen.get_unique_constraints(table)},
        {(tuple(key["constrained_columns"]), key["referred_table"]) for key in seen.get_foreign_keys(table)},
        set(seen.get_pk_constraint(table)["constrained_columns"]),
        {column["name"]: column["nullable"] for column in seen.get_columns(table)},
    )


def test_each_revision_has_one_successor() -> None:
    with create_engine("sqlite://").begin() as connection:
        script = ScriptDirectory.from_config(migrations.configuration(connection))
    revisions = [revision.revision for revision in script.walk_revisions()]
    assert sorted(revisions) == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    assert len(script.get_heads()) == 1


@pytest.mark.parametrize("stamped", [False, True], ids=["made without revisions", "stamped"])
def test_an_old_database_keeps_what_it_holds(stamped: bool, database_url: URL) -> None:
    with create_engine(database_url).begin() as connection:
        first_schema(connection)
        if not stamped:
            connection.execute(text("DROP TABLE alembic_version"))
        fill(connection)
    state = State(database_url, IDENTITY)
    check_old_rows(state)
    # And it can be written: ids go on behind the old ones.
    later = Update(
        task_id=1, round=2, trainer=TRAINER, point=G1Point(8, 9), cid=b"n", signature=b"s", received_at_seconds=1
    )
    opened_in = Block(8, b"h" * 32)
    begun = Report(task_id=1, round=2, step=Step.COLLECTING, finished_at_seconds=1, seconds=1)
    state.open_round(begun, 5, opened_in)
    state.admit(later, places=3)
    assert state.updates(1, 2) == [later]
    assert state.reports(1, after_cursor=5)[0].round == 2
    state.close()


@pytest.mark.parametrize("later_seconds", [0, 7])
def test_where_an_old_round_began_is_noted_without_a_word(later_seconds: int, database_url: URL) -> None:
    """Nobody knows whether it began anew, unless its deadline says so."""
    with create_engine(database_url).begin() as connection:
        first_schema(connection)
        fill(connection)
        connection.execute(text("UPDATE rounds SET step = 1 WHERE round = 1"))
    state, opened_in = State(database_url, IDENTITY), Block(8, b"h" * 32)
    begun = Report(task_id=1, round=1, step=Step.COLLECTING, finished_at_seconds=1, seconds=1)
    before = state.round(1, 1)
    assert before is not None
    assert before.opened_in is None
    deadline_seconds = before.commit_deadline_seconds + later_seconds
    assert state.open_round(begun, deadline_seconds, opened_in) == bool(later_seconds)
    assert state.round(1, 1) == replace(before, opened_in=opened_in, commit_deadline_seconds=deadline_seconds)
    assert state.open_round(begun, deadline_seconds, Block(8, b"g" * 32))
    state.close()


def check_old_rows(state: State) -> None:
    assert state.tasks() == {1}
    [settled] = state.updates(1, 0)
    assert (settled.trainer, settled.point, settled.cid, settled.signature) == (TRAINER, POINT, b"cid", b"s" * 65)
    assert (settled.slot, settled.accepted, settled.score, settled.paid_wei) == (0, True, 6, 1000)
    [sealed] = state.updates(1, 1)
    assert (sealed.slot, sealed.accepted, sealed.score, sealed.paid_wei) == (0, None, None, None)
    first, second = state.round(1, 0), state.round(1, 1)
    assert first is not None
    assert second is not None
    assert (first.step, second.step, second.commit_deadline_seconds) == (Step.PUBLISHED, Step.SEALED, 199)
    assert state.model(1, 1) == Model(task_id=1, version=1, cid=b"cid", size_bytes=4, point=POINT)
    assert state.proof(1, 0, Layer.RULE) == b"cid"
    state.count_argument([POINT])  # the third and last that it may have
    assert [(r.cursor, r.step, r.gas_used) for r in state.reports(1)][:3] == [
        (1, Step.COLLECTING, 0),
        (2, Step.PUBLISHED, 77),
        (5, Step.SEALED, 0),
    ]


def test_opening_again_changes_nothing(database_url: URL) -> None:
    State(database_url, IDENTITY).close()
    with create_engine(database_url).begin() as connection:
        before = connection.scalar(text("SELECT version_num FROM alembic_version"))
    State(database_url, IDENTITY).close()
    with create_engine(database_url).begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == before


def test_a_database_from_the_future_is_left_alone(database_url: URL) -> None:
    State(database_url, IDENTITY).close()
    with create_engine(database_url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        before = inspect(connection).get_table_names()
    with pytest.raises(StateTooNew) as caught:
        State(database_url, IDENTITY)
    assert (caught.value.found, caught.value.field) == ("9999", "state_url")
    with create_engine(database_url).begin() as connection:
        assert inspect(connection).get_table_names() == before
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_failed_upgrade_leaves_the_old_schema(database_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last thing that an upgrade does is to note its revision."""
    with create_engine(database_url).begin() as connection:
        first_schema(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        fill(connection)
        before = inspect(connection).get_table_names()

    def upgrade(connection: Connection) -> None:
        @event.listens_for(connection, "before_cursor_execute")
        def fail(*args: object) -> None:
            if "alembic_version" in str(args[2]) and str(args[2]).startswith(("UPDATE", "INSERT")):
                raise ZeroDivisionError

        original(connection)

    original = migrations.upgrade
    monkeypatch.setattr(migrations, "upgrade", upgrade)
    with pytest.raises(ZeroDivisionError):
        State(database_url, IDENTITY)
    with create_engine(database_url).begin() as connection:
        assert inspect(connection).get_table_names() == before
    monkeypatch.setattr(migrations, "upgrade", original)
    state = State(database_url, IDENTITY)
    check_old_rows(state)
    state.close()


def test_writing_a_revision_finds_nothing_to_do(tmp_path: Path) -> None:
    """What `python -m aggregator.migrations` would write now is empty."""
    with create_engine(f"sqlite:///{tmp_path / 'new.sqlite'}").begin() as connection:
        migrations.upgrade(connection)
        command.check(migrations.configuration(connection))
