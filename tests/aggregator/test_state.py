"""The durable state: one transaction a call, first come first served, and a round never goes back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from eth_account import Account
from sqlalchemy import URL, select

from aggregator.errors import TooManyProofs
from aggregator.records import Block, Checkpoint, Layer, Model, Purpose, Report, Step, Transaction, Update
from aggregator.state import State
from aggregator.tables import NonceRow
from circuits.bn254 import G1Point
from circuits.linear.update_argument import MAX_PROOFS_OF_A_COMMITMENT
from contracts.bindings import NOBODY
from protocol.refusals import (
    LateUpdate,
    PointAlreadyUsed,
    Refusal,
    ReplayedCall,
    RoundFull,
    RoundNotCollecting,
    SecondUpdate,
)

IDENTITY = {"chain": "1", "market": "0xm", "aggregator": "0xa"}
OPENED = Block(8, b"h" * 32)
TRAINERS = [Account.from_key(bytes([i]) * 32).address for i in range(1, 20)]


@pytest.fixture
def state(database_url: URL) -> Iterator[State]:
    opened = State(database_url, IDENTITY)
    opened.open_round(report(Step.COLLECTING), 1000, OPENED)
    yield opened
    opened.close()


def report(step: Step, round: int = 0, **changes: object) -> Report:
    return replace(
        Report(task_id=1, round=round, step=step, finished_at_seconds=5, seconds=0.5),
        **changes,  # type: ignore[arg-type]
    )


def update(index: int, **changes: object) -> Update:
    return replace(
        Update(
            task_id=1,
            round=0,
            trainer=TRAINERS[index],
            point=G1Point(10 + index, 2),
            cid=b"cid%d" % index,
            signature=b"s" * 65,
            received_at_seconds=7,
        ),
        **changes,  # type: ignore[arg-type]
    )


def test_admitted_updates_survive_a_restart_in_order(state: State, database_url: URL) -> None:
    sent = [update(i) for i in (3, 1, 2)]
    for one in sent:
        assert state.admit(one, places=3) == one
    state.close()
    again = State(database_url, IDENTITY)
    assert again.updates(1, 0) == sent
    assert again.update(1, 0, TRAINERS[1]) == sent[1]
    again.close()


def test_a_full_round_takes_no_more(state: State) -> None:
    for index in range(3):
        state.admit(update(index), places=3)
    with pytest.raises(RoundFull):
        state.admit(update(3), places=3)
    assert state.admit(update(0, received_at_seconds=99), places=3) == update(0)


def test_each_trainer_and_each_point_once(state: State) -> None:
    state.admit(update(0), places=3)
    for other in (update(0, cid=b"other"), update(0, point=G1Point(99, 2))):
        with pytest.raises(SecondUpdate):
            state.admit(other, places=3)
    # The contract counts a point and its negation as the same, by its x.
    with pytest.raises(PointAlreadyUsed):
        state.admit(update(1, point=G1Point(10, 77)), places=3)
    state.open_round(report(Step.COLLECTING, 1), 2000, OPENED)
    with pytest.raises(PointAlreadyUsed):
        state.admit(update(1, round=1, point=G1Point(10, 2)), places=3)


def test_a_point_belongs_to_one_task(state: State) -> None:
    """Proofs in several tasks would each open a little more of the same column."""
    state.admit(update(0), places=3)
    state.open_round(report(Step.COLLECTING, task_id=2), 1000, OPENED)
    with pytest.raises(PointAlreadyUsed):
        state.admit(update(1, task_id=2, point=update(0).point), places=3)


def test_proofs_of_a_commitment_are_counted_for_good(state: State, database_url: URL) -> None:
    points = [G1Point(1, 2), G1Point(3, 4)]
    for _ in range(MAX_PROOFS_OF_A_COMMITMENT - 1):
        state.count_argument(points)
    state.require_provable(points)
    state.close()

    again = State(database_url, IDENTITY)
    again.count_argument(points[:1])
    with pytest.raises(TooManyProofs) as caught:
        again.require_provable(points)
    assert (caught.value.point_x, caught.value.count) == (1, 3)
    with pytest.raises(TooManyProofs):
        again.count_argument([points[1], points[0]])
    # The refused proof counts for none of its commitments; and a commitment is x and y.
    again.count_argument([points[1], G1Point(1, 9)])
    with pytest.raises(TooManyProofs):
        again.count_argument(points[1:])
    again.close()


@pytest.mark.parametrize("comes_first", [False, True])
def test_the_referee_has_a_place_of_its_own_and_slot_zero(comes_first: bool, state: State) -> None:
    referee = update(9)
    if comes_first:
        state.admit(referee, 2, referee.trainer)
    for index in (0, 1):
        assert state.admissible(update(index), 2, referee.trainer) is None
        state.admit(update(index), 2, referee.trainer)
    for takes in (state.admit, state.admissible):
        with pytest.raises(RoundFull):
            takes(update(2), 2, referee.trainer)
    if not comes_first:
        assert state.admissible(referee, 2, referee.trainer) is None
        state.admit(referee, 2, referee.trainer)
    state.seal(report(Step.SEALED), referee)
    assert [(u.slot, u.trainer) for u in state.updates(1, 0)] == [(0, TRAINERS[9]), (1, TRAINERS[0]), (2, TRAINERS[1])]


def test_a_previous_sum_fills_slot_zero_whatever_its_commitment(state: State) -> None:
    """It is the update's own, where one was accepted, and the empty column's again and again."""
    state.admit(update(0), places=2)
    for number in (0, 1, 2):
        if number:
            state.open_round(report(Step.COLLECTING, number), 1000, OPENED)
        anchor = update(0, trainer=NOBODY, round=number, signature=b"")
        for _ in range(2):
            state.seal(report(Step.SEALED, number), anchor)
        first, *others = state.updates(1, number)
        assert (first.slot, first.trainer, first.point) == (0, NOBODY, anchor.point)
        assert [u.trainer for u in others] == ([TRAINERS[0]] if number == 0 else [])


def test_rounds_open_and_close(state: State) -> None:
    with pytest.raises(RoundNotCollecting):
        state.admit(update(0, round=1), places=3)
    state.admit(update(0), places=3)
    state.seal(report(Step.SEALED))
    with pytest.raises(LateUpdate):
        state.admit(update(1), places=3)
    assert state.admit(update(0), places=3).slot == 0


def test_a_round_never_goes_back(state: State) -> None:
    state.admit(update(0), places=3)
    state.seal(report(Step.SEALED))
    state.finish(report(Step.COMMITTED))
    for again in (Step.COLLECTING, Step.SEALED, Step.COMMITTED):
        state.finish(report(again))
    state.seal(report(Step.SEALED))
    state.open_round(report(Step.COLLECTING), 5, OPENED)
    found = state.round(1, 0)
    assert found is not None
    assert (found.step, found.commit_deadline_seconds) == (Step.COMMITTED, 1000)
    assert [r.step for r in state.reports(1)] == [Step.COLLECTING, Step.SEALED, Step.COMMITTED]


@pytest.mark.parametrize("last", [Step.PUBLISHED, Step.EXPIRED])
def test_nothing_follows_a_rounds_end(state: State, last: Step) -> None:
    state.finish(report(last))
    state.finish(report(Step.EXPIRED))
    state.finish(report(Step.PUBLISHED))
    assert [r.step for r in state.reports(1)] == [Step.COLLECTING, last]


def test_outcomes_are_by_slot(state: State) -> None:
    for index in (2, 0, 1):
        state.admit(update(index), places=4)
    state.seal(report(Step.SEALED))
    state.judge(report(Step.RULE_PROVEN), accept=[1, 0, 1, 0], score=[10, 0, 1 << 46, 0])
    paid_wei = [1 << 100, 0, 3]
    state.settle(report(Step.SETTLED), paid_wei)
    found = state.updates(1, 0)
    assert [u.trainer for u in found] == [TRAINERS[2], TRAINERS[0], TRAINERS[1]]
    assert [u.slot for u in found] == [0, 1, 2]
    assert [(u.accepted, u.score, u.paid_wei) for u in found] == [
        (True, 10, 1 << 100),
        (False, 0, 0),
        (True, 1 << 46, 3),
    ]


def played(state: State) -> None:
    """A round up to its settlement, with an anchor in slot 0."""
    for index in (2, 0, 1):
        state.admit(update(index), places=4)
    state.seal(report(Step.SEALED), update(5, trainer=NOBODY, signature=b""))
    state.finish(report(Step.COMMITTED))
    for layer in Layer:
        state.put_proof(1, 0, layer, b"proof")
    state.judge(report(Step.RULE_PROVEN), accept=[1, 0, 1, 0], score=[10, 0, 7, 0])
    state.settle(report(Step.SETTLED), [4, 3, 2, 1])


@pytest.mark.parametrize("step", [Step.COLLECTING, Step.SEALED, Step.RULE_PROVEN])
def test_a_step_that_is_taken_back_takes_what_follows_from_it(state: State, step: Step) -> None:
    played(state)
    before = state.reports(1)
    gone = transaction(Purpose.COMMIT, block=9)
    state.put_transaction(gone)
    state.roll_back(report(step), [gone])
    found = state.round(1, 0)
    assert found is not None
    assert found.step == step
    # The journal is never rewritten: it goes on.
    assert state.reports(1)[:-1] == before
    assert (state.reports(1)[-1].step, state.reports(1)[-1].rolled_back) == (step, True)
    assert state.transaction(1, 0, Purpose.COMMIT) == replace(gone, block=None)
    rows = state.updates(1, 0)
    assert all(row.paid_wei is None for row in rows)
    assert all((row.score is None) == (step != Step.RULE_PROVEN) for row in rows)
    collecting = step == Step.COLLECTING
    assert [row.trainer for row in rows] == [*([] if collecting else [NOBODY]), *(TRAINERS[i] for i in (2, 0, 1))]
    assert all((row.slot is None) == collecting for row in rows)
    # A proof is about its updates: it stays as long as they do.
    assert (state.proof(1, 0, Layer.LINEAR) is None) == collecting
    state.seal(report(Step.SEALED))
    state.finish(report(Step.COMMITTED))
    assert len(state.updates(1, 0)) == (3 if collecting else 4)


def test_who_has_not_joined_gets_no_slot(state: State) -> None:
    for index in range(4):
        state.admit(update(index), places=4)
    state.seal(report(Step.SEALED), joined={TRAINERS[1], TRAINERS[3]})
    assert [(row.slot, row.trainer) for row in state.updates(1, 0)] == [(0, TRAINERS[1]), (1, TRAINERS[3])]
    state.judge(report(Step.RULE_PROVEN), accept=[1, 0], score=[1, 0])
    state.settle(report(Step.SETTLED), [5, 0])
    left_out = state.update(1, 0, TRAINERS[0])
    assert left_out is not None
    assert (left_out.slot, left_out.accepted, left_out.paid_wei) == (None, None, None)


def test_a_round_that_the_chain_opened_anew_is_reported_anew(state: State) -> None:
    """By its block, for the deadline may be the same."""
    assert not state.open_round(report(Step.COLLECTING), 1000, OPENED)
    assert [r.rolled_back for r in state.reports(1)] == [False]
    for block in (Block(8, b"g" * 32), Block(9, b"g" * 32)):
        assert state.open_round(report(Step.COLLECTING), 1000, block)
        assert not state.open_round(report(Step.COLLECTING), 1000, block)
    later = Block(10, b"i" * 32)
    assert state.open_round(report(Step.COLLECTING), 1500, later)
    found = state.round(1, 0)
    assert found is not None
    assert (found.commit_deadline_seconds, found.opened_in) == (1500, later)
    assert [r.rolled_back for r in state.reports(1)] == [False, True, True, True]
    state.finish(report(Step.SEALED))
    assert not state.open_round(report(Step.COLLECTING), 1000, OPENED)
    assert state.round(1, 0) == replace(found, step=Step.SEALED)


def test_where_a_round_was_before_its_end(state: State) -> None:
    state.finish(report(Step.SEALED))
    state.finish(report(Step.EXPIRED))
    assert state.step_before_end(1, 0) == Step.SEALED
    state.roll_back(report(Step.SEALED))
    state.finish(report(Step.COMMITTED))
    state.finish(report(Step.EXPIRED))
    assert state.step_before_end(1, 0) == Step.COMMITTED


def transaction(purpose: Purpose, **changes: object) -> Transaction:
    return replace(
        Transaction(task_id=1, round=0, purpose=purpose, hash=b"h" * 32, raw=b"raw"),
        **changes,  # type: ignore[arg-type]
    )


def test_transactions_are_found_by_purpose_and_by_block(state: State) -> None:
    waiting = transaction(Purpose.PUBLISH)
    mined = [transaction(Purpose.SETTLE, block=8), transaction(Purpose.COMMIT, block=7)]
    for one in (waiting, *mined, transaction(Purpose.COMMIT, task_id=2, block=9)):
        state.put_transaction(one)
    assert state.transaction(1, 0, Purpose.PUBLISH) == waiting
    assert state.transaction(1, 0, Purpose.POST_BOND) is None
    assert state.transactions(1, after_block=6) == mined[::-1]
    assert state.transactions(1, after_block=7) == mined[:1]
    state.put_transaction(replace(waiting, hash=b"i" * 32))
    assert state.transactions(1, after_block=0) == mined[::-1]


def test_one_checkpoint_is_kept(state: State) -> None:
    assert state.checkpoint(3) is None
    for number in (5, 6):
        state.put_checkpoint(Checkpoint(depth_blocks=3, number=number, hash=b"h"))
    assert state.checkpoint(3) == Checkpoint(depth_blocks=3, number=6, hash=b"h")
    state.put_checkpoint(Checkpoint(depth_blocks=9, number=1, hash=b"h"))
    assert state.checkpoint(3) is None


def test_cursors_grow_over_all_tasks(state: State) -> None:
    state.open_round(report(Step.COLLECTING, task_id=2), 5, OPENED)
    state.finish(report(Step.SEALED))
    first, second = state.reports(1)
    [other] = state.reports(2)
    assert first.cursor < other.cursor < second.cursor
    assert state.reports(1, after_cursor=first.cursor) == [second]
    assert state.reports(1, limit=1) == [first]


def test_models_and_proofs_are_replaced_not_repeated(state: State) -> None:
    model = Model(task_id=1, version=0, cid=b"c", size_bytes=3, point=G1Point(1, 2))
    state.put_model(model)
    state.put_model(model)
    assert state.model(1, 0) == model
    assert state.model(1, 1) is None
    state.put_proof(1, 0, Layer.RULE, b"a")
    state.put_proof(1, 0, Layer.RULE, b"a")
    assert state.proof(1, 0, Layer.RULE) == b"a"
    assert state.proof(1, 0, Layer.LINEAR) is None


def test_a_nonce_is_taken_once_for_good(state: State, database_url: URL) -> None:
    state.spend_nonce(TRAINERS[0], b"n" * 16, 100, 50)
    state.close()
    again = State(database_url, IDENTITY)
    with pytest.raises(ReplayedCall):
        again.spend_nonce(TRAINERS[0], b"n" * 16, 100, 100)
    again.spend_nonce(TRAINERS[1], b"n" * 16, 100, 100)
    again.spend_nonce(TRAINERS[0], b"m" * 16, 100, 100)
    again.close()


def test_nonces_of_void_calls_are_forgotten(state: State) -> None:
    for index in range(5):
        state.spend_nonce(TRAINERS[0], bytes([index]) * 16, 100 + index, 50)
    state.spend_nonce(TRAINERS[0], b"n" * 16, 200, 103)
    with state._database.reading() as session:
        found = session.scalars(select(NonceRow.deadline_seconds).order_by(NonceRow.deadline_seconds))
        assert found.all() == [103, 104, 200]


def test_threads_do_not_take_a_nonce_twice(state: State) -> None:
    def spend(_: int) -> bool:
        try:
            state.spend_nonce(TRAINERS[0], b"n" * 16, 100, 50)
        except ReplayedCall:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spend, range(12))) == 1


def test_threads_do_not_overfill_a_round(state: State) -> None:
    def admit(index: int) -> Update | Refusal:
        try:
            return state.admit(update(index), places=5)
        except Refusal as refusal:
            return refusal

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(admit, range(12)))
    assert sum(isinstance(result, Update) for result in results) == 5
    assert sum(isinstance(result, RoundFull) for result in results) == 7
    assert len(state.updates(1, 0)) == 5


def test_threads_do_not_admit_a_point_twice(state: State) -> None:
    def admit(index: int) -> bool:
        try:
            state.admit(update(index, point=G1Point(5, 5)), places=12)
        except PointAlreadyUsed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(admit, range(12))) == 1


def test_numbers_on_the_wire_and_in_the_database_agree() -> None:
    from merit.v1.proofs_pb2 import ProofLayer
    from merit.v1.rounds_pb2 import RoundStep

    assert {f"ROUND_STEP_{step.name}": step.value for step in Step} == dict(list(RoundStep.items())[1:])
    assert {f"PROOF_LAYER_{layer.name}": layer.value for layer in Layer} == dict(list(ProofLayer.items())[1:])
