"""Tables of the aggregator's durable state. Amounts are decimal text, for they pass 64 bits."""

from typing import ClassVar

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Integer, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from contracts.bindings import NOBODY

# SQLite's integers have 64 bits under every name, but only INTEGER counts up by itself.
_Whole = BigInteger().with_variant(Integer, "sqlite")


# A previous sum is nobody's, and its commitment may be an update's of the round before, or the empty column's.
_SENT = text(f"trainer <> '{NOBODY}'")


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {bytes: LargeBinary, int: _Whole, str: String}


class IdentityRow(Base):
    """Whose state this is: a database serves one aggregator of one market on one chain."""

    __tablename__ = "identity"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class TaskRow(Base):
    """A task that names this aggregator, seen before it was closed."""

    __tablename__ = "tasks"

    task_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class RoundRow(Base):
    """A round, and the last of its steps that is done and durable."""

    __tablename__ = "rounds"

    task_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int]
    commit_deadline_seconds: Mapped[int]


class UpdateRow(Base):
    """An update whose bytes are durable in the content store under `cid`. Slot and outcome come later.

    A previous sum in slot 0 is one as well: NOBODY's, and not signed.
    """

    __tablename__ = "updates"
    __table_args__ = (
        ForeignKeyConstraint(["task_id", "round"], ["rounds.task_id", "rounds.round"]),
        UniqueConstraint("task_id", "round", "trainer"),
        # Over all tasks: proofs in several would each open a little more of the same column.
        Index("updates_point_x", "point_x", unique=True, sqlite_where=_SENT, postgresql_where=_SENT),
    )

    update_id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int]
    round: Mapped[int]
    trainer: Mapped[str]
    point_x: Mapped[bytes]
    point_y: Mapped[bytes]
    cid: Mapped[bytes]
    signature: Mapped[bytes]
    received_at_seconds: Mapped[int]
    slot: Mapped[int | None]
    accepted: Mapped[bool | None]
    score: Mapped[int | None]
    paid_wei: Mapped[str | None]


class ModelRow(Base):
    """A global model in the content store. Version 0 is the genesis model, r + 1 the one after round r."""

    __tablename__ = "models"

    task_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cid: Mapped[bytes]
    size_bytes: Mapped[int]
    point_x: Mapped[bytes]
    point_y: Mapped[bytes]


class ProofRow(Base):
    """A proof in the content store."""

    __tablename__ = "proofs"
    __table_args__ = (ForeignKeyConstraint(["task_id", "round"], ["rounds.task_id", "rounds.round"]),)

    task_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    layer: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cid: Mapped[bytes]


class ArgumentRow(Base):
    """How many update arguments about a commitment have been made here, whatever the task."""

    __tablename__ = "arguments"

    point_x: Mapped[bytes] = mapped_column(primary_key=True)
    point_y: Mapped[bytes] = mapped_column(primary_key=True)
    count: Mapped[int]


class NonceRow(Base):
    """A signed call that was taken. Its nonce is not taken again; after the deadline no call with it would be."""

    __tablename__ = "nonces"

    signer: Mapped[str] = mapped_column(primary_key=True)
    nonce: Mapped[bytes] = mapped_column(primary_key=True)
    deadline_seconds: Mapped[int] = mapped_column(index=True)


class JournalRow(Base):
    """A finished step, with the transaction that it took, if it took one. The key is the watchers' cursor."""

    __tablename__ = "journal"
    __table_args__ = (
        ForeignKeyConstraint(["task_id", "round"], ["rounds.task_id", "rounds.round"]),
        UniqueConstraint("task_id", "round", "step"),
    )

    cursor: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int]
    round: Mapped[int]
    step: Mapped[int]
    finished_at_seconds: Mapped[int]
    seconds: Mapped[float]
    gas_used: Mapped[int]
    transaction: Mapped[bytes]
