"""Tables of the aggregator's durable state, and records as their rows. Amounts are decimal text: they pass 64 bits."""

from typing import ClassVar

from eth_utils.address import to_checksum_address
from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from aggregator.records import Block, Checkpoint, Model, Purpose, Report, Round, Step, Transaction, Update
from circuits.bn254 import G1Point
from contracts.bindings import NOBODY

# SQLite's integers have 64 bits under every name, but only INTEGER counts up by itself.
_Whole = BigInteger().with_variant(Integer, "sqlite")


# A previous sum is nobody's, and its commitment may be an update's of the round before, or the empty column's.
_SENT = text(f"trainer <> '{NOBODY}'")


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {bytes: LargeBinary, int: _Whole, str: String}


class IdentityRow(Base):
    """Whose state this is: a database serves one aggregator of one market on one chain. And which process has it."""

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
    opened_block: Mapped[int | None]
    opened_hash: Mapped[bytes | None]

    def record(self) -> Round:
        opened_in = None
        if self.opened_block is not None and self.opened_hash is not None:
            opened_in = Block(self.opened_block, self.opened_hash)
        return Round(
            task_id=self.task_id,
            round=self.round,
            step=Step(self.step),
            commit_deadline_seconds=self.commit_deadline_seconds,
            opened_in=opened_in,
        )


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

    @classmethod
    def of(cls, update: Update) -> "UpdateRow":
        """A new row; slot and outcome stay open."""
        x, y = coordinates(update.point)
        return cls(
            task_id=update.task_id,
            round=update.round,
            trainer=update.trainer,
            point_x=x,
            point_y=y,
            cid=update.cid,
            signature=update.signature,
            received_at_seconds=update.received_at_seconds,
        )

    def record(self) -> Update:
        return Update(
            task_id=self.task_id,
            round=self.round,
            trainer=to_checksum_address(self.trainer),
            point=_point(self.point_x, self.point_y),
            cid=self.cid,
            signature=self.signature,
            received_at_seconds=self.received_at_seconds,
            slot=self.slot,
            accepted=self.accepted,
            score=self.score,
            paid_wei=None if self.paid_wei is None else int(self.paid_wei),
        )


class ModelRow(Base):
    """A global model in the content store. Version 0 is the genesis model, r + 1 the one after round r.

    One that is sealed for the task's owner has a wrapped key, and is here before its round is settled.
    """

    __tablename__ = "models"

    task_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cid: Mapped[bytes]
    size_bytes: Mapped[int]
    point_x: Mapped[bytes]
    point_y: Mapped[bytes]
    wrapped_key: Mapped[bytes | None]
    manifest: Mapped[bytes | None]

    @classmethod
    def of(cls, model: Model) -> "ModelRow":
        x, y = coordinates(model.point)
        return cls(
            task_id=model.task_id,
            version=model.version,
            cid=model.cid,
            size_bytes=model.size_bytes,
            point_x=x,
            point_y=y,
            wrapped_key=model.wrapped_key or None,
            manifest=model.manifest or None,
        )

    def record(self) -> Model:
        return Model(
            task_id=self.task_id,
            version=self.version,
            cid=self.cid,
            size_bytes=self.size_bytes,
            point=_point(self.point_x, self.point_y),
            wrapped_key=self.wrapped_key or b"",
            manifest=self.manifest or b"",
        )


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
    """Where a round is, with the transaction that brought it there, if one did. The key is the watchers' cursor.

    Rows are added only: a step that the chain took back is followed by a row that says so.
    """

    __tablename__ = "journal"
    __table_args__ = (
        ForeignKeyConstraint(["task_id", "round"], ["rounds.task_id", "rounds.round"]),
        Index("journal_of_task", "task_id", "cursor"),
    )

    cursor: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int]
    round: Mapped[int]
    step: Mapped[int]
    finished_at_seconds: Mapped[int]
    seconds: Mapped[float]
    gas_used: Mapped[int]
    transaction: Mapped[bytes]
    rolled_back: Mapped[bool] = mapped_column(server_default=false())

    @classmethod
    def of(cls, report: Report) -> "JournalRow":
        """A new row; the database gives it its cursor."""
        return cls(
            task_id=report.task_id,
            round=report.round,
            step=report.step,
            finished_at_seconds=report.finished_at_seconds,
            seconds=report.seconds,
            gas_used=report.gas_used,
            transaction=report.transaction,
            rolled_back=report.rolled_back,
        )

    def record(self) -> Report:
        return Report(
            cursor=self.cursor,
            task_id=self.task_id,
            round=self.round,
            step=Step(self.step),
            finished_at_seconds=self.finished_at_seconds,
            seconds=self.seconds,
            gas_used=self.gas_used,
            transaction=self.transaction,
            rolled_back=self.rolled_back,
        )


class TransactionRow(Base):
    """The latest transaction for a purpose, durable before it is sent. Nothing final: the chain says what became of it.

    `raw` is empty where somebody else sent it. `block` is where it was last seen mined.
    """

    __tablename__ = "transactions"

    task_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purpose: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[bytes]
    raw: Mapped[bytes]
    block: Mapped[int | None]

    @classmethod
    def of(cls, transaction: Transaction) -> "TransactionRow":
        return cls(
            task_id=transaction.task_id,
            round=transaction.round,
            purpose=transaction.purpose,
            hash=transaction.hash,
            raw=transaction.raw,
            block=transaction.block,
        )

    def record(self) -> Transaction:
        return Transaction(
            task_id=self.task_id,
            round=self.round,
            purpose=Purpose(self.purpose),
            hash=self.hash,
            raw=self.raw,
            block=self.block,
        )


class CheckpointRow(Base):
    """The latest block that was so deep that nothing up to it is looked at again. There is one row."""

    __tablename__ = "checkpoint"

    depth_blocks: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    hash: Mapped[bytes]

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "CheckpointRow":
        return cls(depth_blocks=checkpoint.depth_blocks, number=checkpoint.number, hash=checkpoint.hash)

    def record(self) -> Checkpoint:
        return Checkpoint(depth_blocks=self.depth_blocks, number=self.number, hash=self.hash)


def coordinates(point: G1Point) -> tuple[bytes, bytes]:
    """x and y as columns hold them."""
    x, y = (c.to_bytes(32, "big") for c in point)
    return x, y


def _point(x: bytes, y: bytes) -> G1Point:
    return G1Point(int.from_bytes(x, "big"), int.from_bytes(y, "big"))
