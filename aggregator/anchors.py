"""What slot 0 of a round holds where the task's rule has an anchor, and who of a round's updates is a trainer's.

The owner's reference comes the way of all updates. The previous round's accepted sum nobody sends: it is added up here,
from the updates that were accepted then, as the contract adds up their commitments.
"""

import time
from collections.abc import Sequence

from eth_typing import ChecksumAddress

from aggregator.errors import Disagreement
from aggregator.records import Update
from aggregator.served import ServedTask
from aggregator.tools import Tools
from aggregator.unsealing import opened
from circuits.bn254 import sum_points
from circuits.commitment import Column, check_opening, empty_column
from circuits.errors import CommitmentMismatch
from circuits.model import total
from circuits.statement import Statement
from contracts.bindings import NOBODY, Anchor
from protocol.holders import holder_of
from protocol.terms import Derived
from store.objects import decode_model, decode_update, encode_model


def anchor_of_round(round: int, task: ServedTask, terms: Derived, tools: Tools) -> Update | None:
    """What fills slot 0 of a round; None if nothing is wanted there, or the owner's reference has not come.

    Raises:
        Disagreement: the accepted sum does not open the sum of the commitments.
    """
    if task.config.anchor == Anchor.PREVIOUS_SUM:
        return _previous_sum(round, task.task_id, terms, tools)
    return None if task.referee is None else tools.state.update(task.task_id, round, task.referee)


def trainers_of(task: ServedTask, updates: Sequence[Update]) -> set[ChecksumAddress]:
    """Who has sent the updates, but for an anchor."""
    return {update.trainer for update in updates} - {task.referee, NOBODY}


def lacking(task: ServedTask, updates: Sequence[Update]) -> str:
    """What a round of these updates still lacks to be committed, or ""."""
    if task.referee is not None and all(update.trainer != task.referee for update in updates):
        return f"there is no reference by the owner, {task.referee}"
    count, quorum = len(trainers_of(task, updates)), task.config.quorum
    return f"there are updates by {count} trainers, and at least {quorum} are wanted" if count < quorum else ""


def columns_of(updates: Sequence[Update], statement: Statement, tools: Tools) -> list[Column]:
    """The updates' columns, from their bytes."""

    def column(update: Update) -> Column:
        data = opened(update, tools)
        if update.trainer == NOBODY:  # a sum is wider than an update
            return decode_model(data, statement.dim)
        return decode_update(data, statement.dim, statement.fmt)

    return [column(update) for update in updates]


def _previous_sum(round: int, task_id: int, terms: Derived, tools: Tools) -> Update:
    """The sum of the updates accepted in the round before, or the empty column if there are none; kept in the store."""
    statement = terms.statement
    accepted = [update for update in tools.state.updates(task_id, round - 1) if update.accepted] if round else []
    if accepted:
        column = total(columns_of(accepted, statement, tools))
        point = sum_points([update.point for update in accepted])
    else:
        column, point = empty_column(statement.dim, statement.fmt), terms.empty_column
    try:
        check_opening(column, point, terms.srs)
    except CommitmentMismatch as error:
        raise Disagreement(f"accepted sum before round {round}", "the sum of the commitments", error) from error
    return Update(
        task_id=task_id,
        round=round,
        trainer=NOBODY,
        point=point,
        cid=tools.store.put_for(holder_of(task_id), encode_model(column)),
        signature=b"",
        received_at_seconds=int(time.time()),
    )
