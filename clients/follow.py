"""The aggregator's journal of a task, whatever happens to the connection."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from merit.v1.rounds_pb2 import WatchRoundsResponse

from clients.errors import AggregatorUnreachable
from clients.service import AggregatorClient
from process.logs import Log
from protocol.refusals import Draining

_FIRST_PAUSE_SECONDS = 0.2
_MOST_PAUSE_SECONDS = 5.0


async def follow(aggregator: AggregatorClient, task_id: int, log: Log) -> AsyncGenerator[WatchRoundsResponse, None]:
    """Every report of the task, once and in order, until the task is finished; a broken stream is resumed.

    Raises:
        UnknownTask: the aggregator does not serve the task.
    """
    cursor, pause_seconds = 0, _FIRST_PAUSE_SECONDS
    while True:
        try:
            async with aclosing(aggregator.watch(task_id, cursor)) as reports:
                async for report in reports:
                    pause_seconds = _FIRST_PAUSE_SECONDS
                    cursor = report.cursor
                    yield report
        except (AggregatorUnreachable, Draining) as error:
            if pause_seconds == _FIRST_PAUSE_SECONDS:
                log.warning("aggregator.lost", reason=str(error))
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _MOST_PAUSE_SECONDS)
        else:
            return
