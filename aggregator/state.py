"""The aggregator's durable state. Every method is one transaction; what it returned is on disk."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace

from eth_typing import ChecksumAddress
from sqlalchemy import URL, delete, func, select
from sqlalchemy.orm import Session

from aggregator import nonces
from aggregator.database import Database
from aggregator.errors import TooManyProofs
from aggregator.records import (
    FINAL_STEPS,
    Block,
    Checkpoint,
    Layer,
    Model,
    Purpose,
    Report,
    Round,
    Step,
    Transaction,
    Update,
)
from aggregator.tables import (
    ArgumentRow,
    CheckpointRow,
    JournalRow,
    ModelRow,
    ProofRow,
    RoundRow,
    TaskRow,
    TransactionRow,
    UpdateRow,
    coordinates,
)
from circuits.bn254 import G1Point
from circuits.linear.update_argument import MAX_PROOFS_OF_A_COMMITMENT
from contracts.bindings import NOBODY
from protocol.refusals import LateUpdate, PointAlreadyUsed, RoundFull, RoundNotCollecting, SecondUpdate

_FORGET_EVERY_SECONDS = 10


class State:
    """Blocks on the database; safe to share between threads.

    Args:
        url: of SQLite or PostgreSQL.
        identity: chain id, market and aggregator that the state belongs to.
        boundary: told of each transaction that has become durable.

    Raises:
        ConfigurationError, StateInUse, StateTooNew: as `Database` does.
    """

    def __init__(self, url: URL, identity: Mapping[str, str], boundary: Callable[[str], None] = lambda _: None) -> None:
        self._database = Database(url, identity, boundary)
        self._forget_at_seconds = 0

    def close(self) -> None:
        self._database.close()

    # ------------------------------------------------------------------ tasks

    def put_task(self, task_id: int) -> None:
        """Remembers a task that names this aggregator."""
        with self._database.writing("put_task") as session:
            session.merge(TaskRow(task_id=task_id))

    def tasks(self) -> set[int]:
        """Ids of the remembered tasks."""
        with self._database.reading() as session:
            return set(session.scalars(select(TaskRow.task_id)))

    # ----------------------------------------------------------------- rounds

    def open_round(self, report: Report, commit_deadline_seconds: int, opened_in: Block) -> bool:
        """A round begins to collect, or the chain has begun it anew: whether that is news, and was reported.

        Args:
            opened_in: the block of the chain that does so. In another block it is another beginning, if its deadline
                is the same or not.
        """
        with self._database.writing("open_round") as session:
            row = session.get(RoundRow, (report.task_id, report.round))
            if row is None:
                row = RoundRow(
                    task_id=report.task_id,
                    round=report.round,
                    step=Step.COLLECTING,
                    commit_deadline_seconds=commit_deadline_seconds,
                    opened_block=opened_in.number,
                    opened_hash=opened_in.hash,
                )
                session.add(row)
                session.flush()
                session.add(JournalRow.of(report))
                return True
            known = row.record()
            if row.step != Step.COLLECTING:
                return False
            row.commit_deadline_seconds = commit_deadline_seconds
            row.opened_block, row.opened_hash = opened_in
            anew = known.opened_in not in (None, opened_in) or known.commit_deadline_seconds != commit_deadline_seconds
            if anew:
                session.add(JournalRow.of(replace(report, rolled_back=True)))
            return anew

    def round(self, task_id: int, round: int) -> Round | None:
        with self._database.reading() as session:
            row = session.get(RoundRow, (task_id, round))
            return None if row is None else row.record()

    def finish(self, report: Report) -> None:
        """A step is done. Again does nothing; a round never goes back."""
        with self._database.writing("finish") as session:
            self._finish(session, report)

    def seal(
        self, report: Report, anchor: Update | None = None, joined: Container[ChecksumAddress] | None = None
    ) -> None:
        """The round takes no more updates, and the ones it has get their slots, in the order of arrival.

        Args:
            anchor: what comes first, in slot 0: one of the updates, or one that nobody has sent.
            joined: whose updates get a slot; by default everybody's.
        """
        with self._database.writing("seal") as session:
            if _require_round(session, report.task_id, report.round).step != Step.COLLECTING:
                return
            everybody = _update_rows(session, report.task_id, report.round)
            rows = [row for row in everybody if joined is None or row.trainer in joined]
            if anchor is not None:
                first = next((row for row in everybody if row.trainer == anchor.trainer), None)
                if first is None:
                    first = UpdateRow.of(anchor)
                    session.add(first)
                rows = [first, *(row for row in rows if row is not first)]
            for slot, row in enumerate(rows):
                row.slot = slot
            self._finish(session, report)

    def judge(self, report: Report, accept: Sequence[int], score: Sequence[int]) -> None:
        """The rule is proven: each update's outcome, by slot."""
        with self._database.writing("judge") as session:
            for row in _slotted_rows(session, report.task_id, report.round):
                assert row.slot is not None
                row.accepted, row.score = bool(accept[row.slot]), score[row.slot]
            self._finish(session, report)

    def settle(self, report: Report, paid_wei: Sequence[int]) -> None:
        """The round is settled: what each update was paid, by slot."""
        with self._database.writing("settle") as session:
            for row in _slotted_rows(session, report.task_id, report.round):
                assert row.slot is not None
                row.paid_wei = str(paid_wei[row.slot])
            self._finish(session, report)

    def roll_back(self, report: Report, taken_back: Sequence[Transaction] = ()) -> None:
        """The chain took back what came after a step. What does not follow from that step any more is forgotten.

        Args:
            taken_back: transactions that are not mined any more.
        """
        with self._database.writing("roll_back") as session:
            for transaction in taken_back:
                session.merge(TransactionRow.of(replace(transaction, block=None)))
            _require_round(session, report.task_id, report.round).step = report.step
            for row in _update_rows(session, report.task_id, report.round):
                row.paid_wei = row.paid_wei if report.step >= Step.SETTLED else None
                if report.step < Step.RULE_PROVEN:
                    row.accepted = row.score = None
                if report.step == Step.COLLECTING:
                    row.slot = None
            if report.step == Step.COLLECTING:
                of_round = {"task_id": report.task_id, "round": report.round}
                session.execute(delete(ProofRow).filter_by(**of_round))
                session.execute(delete(UpdateRow).filter_by(**of_round, trainer=NOBODY))
            session.add(JournalRow.of(replace(report, rolled_back=True)))

    # ---------------------------------------------------------------- updates

    def admit(self, update: Update, places: int, referee: str | None = None) -> Update:
        """Takes an update into its round. The same content again returns what was stored first.

        Args:
            places: how many updates a round takes, beside the referee's.
            referee: whose update has a place of its own.
        Raises:
            RoundNotCollecting, LateUpdate, SecondUpdate, PointAlreadyUsed, RoundFull.
        """
        with self._database.writing("admit") as session:
            known = _admissible(session, update, places, referee)
            if known is not None:
                return known
            x, _ = coordinates(update.point)
            if session.scalar(select(UpdateRow).where(UpdateRow.point_x == x)):
                raise point_already_used(update.point)
            session.add(UpdateRow.of(update))
        return update

    def admissible(self, update: Update, places: int, referee: str | None = None) -> Update | None:
        """What `admit` would say by now, but for the point: the same content's stored update, or None for a new one.

        Raises:
            RoundNotCollecting, LateUpdate, SecondUpdate, RoundFull.
        """
        with self._database.reading() as session:
            return _admissible(session, update, places, referee)

    def update(self, task_id: int, round: int, trainer: str) -> Update | None:
        with self._database.reading() as session:
            return _find_update(session, task_id, round, trainer)

    def updates(self, task_id: int, round: int) -> list[Update]:
        """The round's updates: by slot, or in the order of arrival while it collects."""
        with self._database.reading() as session:
            row = session.get(RoundRow, (task_id, round))
            sealed = row is not None and row.step != Step.COLLECTING
            rows = (_slotted_rows if sealed else _update_rows)(session, task_id, round)
            return [row.record() for row in rows]

    # ------------------------------------------------------- models and proofs

    def put_model(self, model: Model) -> None:
        with self._database.writing("put_model") as session:
            session.merge(ModelRow.of(model))

    def model(self, task_id: int, version: int) -> Model | None:
        with self._database.reading() as session:
            row = session.get(ModelRow, (task_id, version))
            return None if row is None else row.record()

    def put_proof(self, task_id: int, round: int, layer: Layer, cid: bytes) -> None:
        with self._database.writing("put_proof") as session:
            session.merge(ProofRow(task_id=task_id, round=round, layer=layer, cid=cid))

    def proof(self, task_id: int, round: int, layer: Layer) -> bytes | None:
        """The CID of a proof."""
        with self._database.reading() as session:
            row = session.get(ProofRow, (task_id, round, layer))
            return None if row is None else row.cid

    def require_provable(self, points: Sequence[G1Point]) -> None:
        """TooManyProofs if a commitment has had as many update arguments as hide what it commits to."""
        with self._database.reading() as session:
            for point in points:
                _require_provable(session, point)

    def count_argument(self, points: Sequence[G1Point]) -> None:
        """One more update argument is about these commitments: it must not leave the process before this returns.

        Raises:
            TooManyProofs: one has had all that it may have; nothing is counted then.
        """
        with self._database.writing("count_argument") as session:
            for point in points:
                row = _require_provable(session, point)
                row.count += 1
                session.add(row)

    # ------------------------------------------------------------ signed calls

    def spend_nonce(self, signer: str, nonce: bytes, deadline_seconds: int, now_seconds: int) -> None:
        """Takes a signed call (ReplayedCall if its nonce was taken before)."""
        with self._database.writing("spend_nonce") as session:
            if now_seconds >= self._forget_at_seconds:
                nonces.forget(session, now_seconds)
                self._forget_at_seconds = now_seconds + _FORGET_EVERY_SECONDS
            nonces.spend(session, signer, nonce, deadline_seconds)

    # ------------------------------------------------------------------- chain

    def transaction(self, task_id: int, round: int, purpose: Purpose) -> Transaction | None:
        """The latest one for a purpose."""
        with self._database.reading() as session:
            row = session.get(TransactionRow, (task_id, round, purpose))
            return None if row is None else row.record()

    def put_transaction(self, transaction: Transaction) -> None:
        with self._database.writing("put_transaction") as session:
            session.merge(TransactionRow.of(transaction))

    def transactions(self, task_id: int, *, after_block: int) -> list[Transaction]:
        """Those that were mined after a block."""
        query = select(TransactionRow).where(TransactionRow.task_id == task_id, TransactionRow.block > after_block)
        with self._database.reading() as session:
            return [row.record() for row in session.scalars(query.order_by(TransactionRow.block))]

    def checkpoint(self, depth_blocks: int) -> Checkpoint | None:
        """The latest block that was final at this depth."""
        with self._database.reading() as session:
            row = session.get(CheckpointRow, depth_blocks)
            return None if row is None else row.record()

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Replaces the one before, whatever its depth."""
        with self._database.writing("put_checkpoint") as session:
            session.execute(delete(CheckpointRow))
            session.add(CheckpointRow.of(checkpoint))

    # ---------------------------------------------------------------- journal

    def reports(
        self, task_id: int, *, after_cursor: int = 0, round: int | None = None, limit: int = 100
    ) -> list[Report]:
        """The next reports of a task, in order."""
        query = select(JournalRow).where(JournalRow.task_id == task_id, JournalRow.cursor > after_cursor)
        if round is not None:
            query = query.where(JournalRow.round == round)
        with self._database.reading() as session:
            return [row.record() for row in session.scalars(query.order_by(JournalRow.cursor).limit(limit))]

    def step_before_end(self, task_id: int, round: int) -> Step:
        """Where a round was before it expired."""
        query = select(JournalRow.step).where(
            JournalRow.task_id == task_id, JournalRow.round == round, JournalRow.step != Step.EXPIRED
        )
        with self._database.reading() as session:
            return Step(session.scalars(query.order_by(JournalRow.cursor.desc()).limit(1)).one())

    # ---------------------------------------------------------------- private

    def _finish(self, session: Session, report: Report) -> None:
        row = _require_round(session, report.task_id, report.round)
        if row.step >= report.step or row.step in FINAL_STEPS:
            return
        row.step = report.step
        session.add(JournalRow.of(report))


def _require_same(known: Update, given: Update) -> Update:
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


def _require_round(session: Session, task_id: int, round: int) -> RoundRow:
    row = session.get(RoundRow, (task_id, round))
    assert row is not None, f"round {round} of task {task_id} was never opened"
    return row


def _admissible(session: Session, update: Update, places: int, referee: str | None) -> Update | None:
    where = f"round: {update.round} of task {update.task_id}"
    step = session.scalar(
        select(RoundRow.step).where(RoundRow.task_id == update.task_id, RoundRow.round == update.round)
    )
    if step is None:
        raise RoundNotCollecting(f"{where} has not begun", field="round")
    known = _find_update(session, update.task_id, update.round, update.trainer)
    if known is not None:
        return _require_same(known, update)
    if step != Step.COLLECTING:
        raise LateUpdate(f"{where} takes no more updates", field="round")
    if update.trainer != referee and _count_others(session, update, referee) >= places:
        raise RoundFull(f"round: all {places} places are taken", field="round", limit=f"{places} updates")
    return None


def _count_others(session: Session, update: Update, referee: str | None) -> int:
    """How many places of trainers are taken in an update's round."""
    of_round = select(func.count()).where(UpdateRow.task_id == update.task_id, UpdateRow.round == update.round)
    return session.scalars(of_round.where(UpdateRow.trainer != (referee or ""))).one()


def _update_rows(session: Session, task_id: int, round: int) -> Sequence[UpdateRow]:
    query = select(UpdateRow).where(UpdateRow.task_id == task_id, UpdateRow.round == round)
    return session.scalars(query.order_by(UpdateRow.slot, UpdateRow.update_id)).all()


def _slotted_rows(session: Session, task_id: int, round: int) -> Sequence[UpdateRow]:
    """Those of a sealed round: whoever is no trainer any more has no slot."""
    return [row for row in _update_rows(session, task_id, round) if row.slot is not None]


def _find_update(session: Session, task_id: int, round: int, trainer: str) -> Update | None:
    query = select(UpdateRow).where(
        UpdateRow.task_id == task_id, UpdateRow.round == round, UpdateRow.trainer == trainer
    )
    row = session.scalar(query)
    return None if row is None else row.record()


def _require_provable(session: Session, point: G1Point) -> ArgumentRow:
    x, y = coordinates(point)
    row = session.get(ArgumentRow, (x, y)) or ArgumentRow(point_x=x, point_y=y, count=0)
    if row.count >= MAX_PROOFS_OF_A_COMMITMENT:
        raise TooManyProofs(point, row.count)
    return row
