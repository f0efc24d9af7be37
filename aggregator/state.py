"""The aggregator's durable state. Every method is one transaction; what it returned is on disk."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from aggregator import nonces
from aggregator.errors import TooManyProofs
from aggregator.records import FINAL_STEPS, Layer, Model, Report, Round, Step, Update
from aggregator.tables import (
    ArgumentRow,
    Base,
    IdentityRow,
    JournalRow,
    ModelRow,
    ProofRow,
    RoundRow,
    TaskRow,
    UpdateRow,
)
from circuits.bn254 import G1Point
from circuits.linear.update_argument import MAX_PROOFS_OF_A_COMMITMENT
from process.errors import ConfigurationError
from protocol.refusals import DiskFull, LateUpdate, PointAlreadyUsed, RoundFull, RoundNotCollecting, SecondUpdate

_BUSY_TIMEOUT_SECONDS = 30


class State:
    """Blocks on the disk; safe to share between threads.

    Args:
        path: the SQLite file; made if it is missing.
        identity: chain id, market and aggregator that the state belongs to.

    Raises:
        ConfigurationError: the file is the state of another identity.
    """

    def __init__(self, path: Path, identity: dict[str, str]) -> None:
        self._engine = _open(path)
        Base.metadata.create_all(self._engine)
        self._claim(path, identity)

    def close(self) -> None:
        self._engine.dispose()

    # ------------------------------------------------------------------ tasks

    def put_task(self, task_id: int) -> None:
        """Remembers a task that names this aggregator."""
        with self._transaction() as session:
            session.merge(TaskRow(task_id=task_id))

    def tasks(self) -> set[int]:
        """Ids of the remembered tasks."""
        with self._transaction() as session:
            return set(session.scalars(select(TaskRow.task_id)))

    # ----------------------------------------------------------------- rounds

    def open_round(self, report: Report, commit_deadline_seconds: int) -> None:
        """A round begins to collect. Again does nothing."""
        with self._transaction() as session:
            if session.get(RoundRow, (report.task_id, report.round)) is None:
                row = RoundRow(
                    task_id=report.task_id,
                    round=report.round,
                    step=Step.COLLECTING,
                    commit_deadline_seconds=commit_deadline_seconds,
                )
                session.add(row)
                session.flush()
                session.add(_journal_row(report))

    def round(self, task_id: int, round: int) -> Round | None:
        with self._transaction() as session:
            row = session.get(RoundRow, (task_id, round))
            return None if row is None else _round(row)

    def finish(self, report: Report) -> None:
        """A step is done. Again does nothing; a round never goes back."""
        with self._transaction() as session:
            self._finish(session, report)

    def seal(self, report: Report, anchor: Update | None = None) -> None:
        """The round takes no more updates, and the ones it has get their slots, in the order of arrival.

        Args:
            anchor: what comes first, in slot 0: one of the updates, or one that nobody has sent.
        """
        with self._transaction() as session:
            if _require_round(session, report.task_id, report.round).step != Step.COLLECTING:
                return
            rows = list(_update_rows(session, report.task_id, report.round))
            if anchor is not None:
                first = next((row for row in rows if row.trainer == anchor.trainer), None)
                if first is None:
                    first = _update_row(anchor)
                    session.add(first)
                rows = [first, *(row for row in rows if row is not first)]
            for slot, row in enumerate(rows):
                row.slot = slot
            self._finish(session, report)

    def judge(self, report: Report, accept: Sequence[int], score: Sequence[int]) -> None:
        """The rule is proven: each update's outcome, by slot."""
        with self._transaction() as session:
            for row in _update_rows(session, report.task_id, report.round):
                assert row.slot is not None
                row.accepted, row.score = bool(accept[row.slot]), score[row.slot]
            self._finish(session, report)

    def settle(self, report: Report, paid_wei: Sequence[int]) -> None:
        """The round is settled: what each update was paid, by slot."""
        with self._transaction() as session:
            for row in _update_rows(session, report.task_id, report.round):
                assert row.slot is not None
                row.paid_wei = str(paid_wei[row.slot])
            self._finish(session, report)

    # ---------------------------------------------------------------- updates

    def admit(self, update: Update, places: int, referee: str | None = None) -> Update:
        """Takes an update into its round. The same content again returns what was stored first.

        Args:
            places: how many updates a round takes, beside the referee's.
            referee: whose update has a place of its own.
        Raises:
            RoundNotCollecting, LateUpdate, SecondUpdate, PointAlreadyUsed, RoundFull.
        """
        with self._transaction() as session:
            round_row = session.get(RoundRow, (update.task_id, update.round))
            if round_row is None:
                raise RoundNotCollecting(f"round: {update.round} of task {update.task_id} has not begun", field="round")
            known = _find_update(session, update.task_id, update.round, update.trainer)
            if known is not None:
                return require_same(known, update)
            if round_row.step != Step.COLLECTING:
                raise LateUpdate(f"round: {update.round} of task {update.task_id} takes no more updates", field="round")
            x = update.point.x.to_bytes(32, "big")
            if session.scalar(select(UpdateRow).where(UpdateRow.point_x == x)):
                raise point_already_used(update.point)
            others = [row for row in _update_rows(session, update.task_id, update.round) if row.trainer != referee]
            if update.trainer != referee and len(others) >= places:
                raise RoundFull(f"round: all {places} places are taken", field="round", limit=f"{places} updates")
            session.add(_update_row(update))
        return update

    def update(self, task_id: int, round: int, trainer: str) -> Update | None:
        with self._transaction() as session:
            return _find_update(session, task_id, round, trainer)

    def updates(self, task_id: int, round: int) -> list[Update]:
        """The round's updates: by slot, or in the order of arrival while it collects."""
        with self._transaction() as session:
            return [_update(row) for row in _update_rows(session, task_id, round)]

    # ------------------------------------------------------- models and proofs

    def put_model(self, model: Model) -> None:
        with self._transaction() as session:
            x, y = (c.to_bytes(32, "big") for c in model.point)
            session.merge(
                ModelRow(
                    task_id=model.task_id,
                    version=model.version,
                    cid=model.cid,
                    size_bytes=model.size_bytes,
                    point_x=x,
                    point_y=y,
                )
            )

    def model(self, task_id: int, version: int) -> Model | None:
        with self._transaction() as session:
            row = session.get(ModelRow, (task_id, version))
            if row is None:
                return None
            point = G1Point(int.from_bytes(row.point_x, "big"), int.from_bytes(row.point_y, "big"))
            return Model(task_id=task_id, version=version, cid=row.cid, size_bytes=row.size_bytes, point=point)

    def put_proof(self, task_id: int, round: int, layer: Layer, cid: bytes) -> None:
        with self._transaction() as session:
            session.merge(ProofRow(task_id=task_id, round=round, layer=layer, cid=cid))

    def proof(self, task_id: int, round: int, layer: Layer) -> bytes | None:
        """The CID of a proof."""
        with self._transaction() as session:
            row = session.get(ProofRow, (task_id, round, layer))
            return None if row is None else row.cid

    def require_provable(self, points: Sequence[G1Point]) -> None:
        """TooManyProofs if a commitment has had as many update arguments as hide what it commits to."""
        with self._transaction() as session:
            for point in points:
                _require_provable(session, point)

    def count_argument(self, points: Sequence[G1Point]) -> None:
        """One more update argument is about these commitments: it must not leave the process before this returns.

        Raises:
            TooManyProofs: one has had all that it may have; nothing is counted then.
        """
        with self._transaction() as session:
            for point in points:
                row = _require_provable(session, point)
                row.count += 1
                session.add(row)

    # ------------------------------------------------------------ signed calls

    def spend_nonce(self, signer: str, nonce: bytes, deadline_seconds: int, now_seconds: int) -> None:
        """Takes a signed call (ReplayedCall if its nonce was taken before)."""
        with self._transaction() as session:
            nonces.spend(session, signer, nonce, deadline_seconds, now_seconds)

    # ---------------------------------------------------------------- journal

    def reports(
        self, task_id: int, *, after_cursor: int = 0, round: int | None = None, limit: int = 100
    ) -> list[Report]:
        """The next reports of a task, in order."""
        query = select(JournalRow).where(JournalRow.task_id == task_id, JournalRow.cursor > after_cursor)
        if round is not None:
            query = query.where(JournalRow.round == round)
        with self._transaction() as session:
            return [_report(row) for row in session.scalars(query.order_by(JournalRow.cursor).limit(limit))]

    # ---------------------------------------------------------------- private

    def _finish(self, session: Session, report: Report) -> None:
        row = _require_round(session, report.task_id, report.round)
        if row.step >= report.step or row.step in FINAL_STEPS:
            return
        row.step = report.step
        session.add(_journal_row(report))

    def _claim(self, path: Path, identity: dict[str, str]) -> None:
        with self._transaction() as session:
            for key, value in identity.items():
                row = session.get(IdentityRow, key)
                if row is None:
                    session.add(IdentityRow(key=key, value=value))
                elif row.value != value:
                    raise ConfigurationError(f"{path}: is the state of {key} {row.value}, not {value}", key)

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except OperationalError as error:
            if isinstance(error.orig, sqlite3.OperationalError) and error.orig.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise DiskFull("storage: the disk is full") from error
            raise


def require_same(known: Update, given: Update) -> Update:
    """The stored update, if the given one is the same content (SecondUpdate otherwise)."""
    if (known.point, known.cid) != (given.point, given.cid):
        raise SecondUpdate(
            f"round: {given.trainer} already has another update in round {given.round}",
            field="round",
            limit="one update a trainer and round",
        )
    return known


def point_already_used(point: G1Point) -> PointAlreadyUsed:
    return PointAlreadyUsed(
        f"point: a commitment with x {point.x:#x} was here before",
        field="point",
        limit="a commitment of its own for each update of each task",
    )


def _open(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_SECONDS})

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A transaction that reads and then writes must hold the write lock from the start.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _require_round(session: Session, task_id: int, round: int) -> RoundRow:
    row = session.get(RoundRow, (task_id, round))
    assert row is not None, f"round {round} of task {task_id} was never opened"
    return row


def _update_rows(session: Session, task_id: int, round: int) -> Sequence[UpdateRow]:
    query = select(UpdateRow).where(UpdateRow.task_id == task_id, UpdateRow.round == round)
    return session.scalars(query.order_by(UpdateRow.slot, UpdateRow.update_id)).all()


def _find_update(session: Session, task_id: int, round: int, trainer: str) -> Update | None:
    query = select(UpdateRow).where(
        UpdateRow.task_id == task_id, UpdateRow.round == round, UpdateRow.trainer == trainer
    )
    row = session.scalar(query)
    return None if row is None else _update(row)


def _require_provable(session: Session, point: G1Point) -> ArgumentRow:
    x, y = (c.to_bytes(32, "big") for c in point)
    row = session.get(ArgumentRow, (x, y)) or ArgumentRow(point_x=x, point_y=y, count=0)
    if row.count >= MAX_PROOFS_OF_A_COMMITMENT:
        raise TooManyProofs(point, row.count)
    return row


def _round(row: RoundRow) -> Round:
    return Round(
        task_id=row.task_id,
        round=row.round,
        step=Step(row.step),
        commit_deadline_seconds=row.commit_deadline_seconds,
    )


def _update_row(update: Update) -> UpdateRow:
    x, y = (c.to_bytes(32, "big") for c in update.point)
    return UpdateRow(
        task_id=update.task_id,
        round=update.round,
        trainer=update.trainer,
        point_x=x,
        point_y=y,
        cid=update.cid,
        signature=update.signature,
        received_at_seconds=update.received_at_seconds,
    )


def _update(row: UpdateRow) -> Update:
    return Update(
        task_id=row.task_id,
        round=row.round,
        trainer=to_checksum_address(row.trainer),
        point=G1Point(int.from_bytes(row.point_x, "big"), int.from_bytes(row.point_y, "big")),
        cid=row.cid,
        signature=row.signature,
        received_at_seconds=row.received_at_seconds,
        slot=row.slot,
        accepted=row.accepted,
        score=row.score,
        paid_wei=None if row.paid_wei is None else int(row.paid_wei),
    )


def _journal_row(report: Report) -> JournalRow:
    return JournalRow(
        task_id=report.task_id,
        round=report.round,
        step=report.step,
        finished_at_seconds=report.finished_at_seconds,
        seconds=report.seconds,
        gas_used=report.gas_used,
        transaction=report.transaction,
    )


def _report(row: JournalRow) -> Report:
    return Report(
        cursor=row.cursor,
        task_id=row.task_id,
        round=row.round,
        step=Step(row.step),
        finished_at_seconds=row.finished_at_seconds,
        seconds=row.seconds,
        gas_used=row.gas_used,
        transaction=row.transaction,
    )
