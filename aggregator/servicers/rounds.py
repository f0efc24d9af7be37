"""merit.v1.RoundsService"""

import asyncio
from contextlib import suppress

from merit.v1.rounds_pb2 import (
    GetRoundRequest,
    GetRoundResponse,
    RoundStep,
    Slot,
    StepReport,
    WatchRoundsRequest,
    WatchRoundsResponse,
)
from merit.v1.rounds_pb2_grpc import RoundsServiceServicer

from aggregator.records import Report, Round, Update
from aggregator.served import Registry
from aggregator.servicers.context import Context, send
from aggregator.tools import Tools, off_loop
from protocol import wire
from protocol.refusals import Draining, UnknownRound

# Watchers wake at each change; this only bounds how long a missed one can stay unnoticed.
_WATCH_SECONDS = 5.0


class Rounds(RoundsServiceServicer):
    def __init__(self, tools: Tools, registry: Registry) -> None:
        self._tools = tools
        self._registry = registry

    async def GetRound(self, request: GetRoundRequest, context: Context) -> GetRoundResponse:  # noqa: N802
        await self._registry.get(request.task_id)
        round = await off_loop(self._tools.state.round, request.task_id, request.round)
        if round is None:
            raise UnknownRound(f"round: task {request.task_id} has not reached round {request.round}", field="round")
        updates = await off_loop(self._tools.state.updates, request.task_id, request.round)
        reports = await off_loop(self._tools.state.reports, request.task_id, round=request.round)
        return _round_message(round, updates, reports)

    async def WatchRounds(  # type: ignore[override]  # noqa: N802  (sends by itself, to know when nothing is taken)
        self, request: WatchRoundsRequest, context: Context
    ) -> None:
        task = await self._registry.get(request.task_id)
        cursor, idle_seconds = request.after_cursor, self._tools.config.idle_seconds
        while True:
            changed, finished = task.journal.changed(), task.finished
            for report in await task.journal.after(cursor, self._tools):
                cursor = report.cursor
                response = WatchRoundsResponse(
                    cursor=cursor, task_id=report.task_id, round=report.round, report=_report_message(report)
                )
                await send(context, response, idle_seconds)
            if finished:
                return
            if self._tools.draining.is_set():
                raise Draining("the service is stopping; resume with the last cursor")
            with suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_SECONDS):
                    await changed.wait()


def _round_message(round: Round, updates: list[Update], reports: list[Report]) -> GetRoundResponse:
    return GetRoundResponse(
        task_id=round.task_id,
        round=round.round,
        step=_step(round.step),
        commit_deadline_seconds=round.commit_deadline_seconds,
        slots=[_slot_message(update) for update in updates],
        steps=[_report_message(report) for report in reports],
    )


def _slot_message(update: Update) -> Slot:
    return Slot(
        trainer=wire.address_bytes(update.trainer),
        point=wire.point_message(update.point),
        cid=update.cid,
        accepted=bool(update.accepted),
        score=update.score or 0,
        paid_wei="" if update.paid_wei is None else str(update.paid_wei),
    )


def _report_message(report: Report) -> StepReport:
    return StepReport(
        step=_step(report.step),
        finished_at_seconds=report.finished_at_seconds,
        seconds=report.seconds,
        gas_used=report.gas_used,
        transaction=report.transaction,
        rolled_back=report.rolled_back,
    )


def _step(number: int) -> RoundStep.ValueType:
    return RoundStep.ValueType(number)
