"""merit.v1.JobsService"""

import asyncio

from merit.v1.jobs_pb2 import (
    Job,
    JobKind,
    JobState,
    ListJobsRequest,
    ListJobsResponse,
    WatchJobsRequest,
    WatchJobsResponse,
)
from merit.v1.jobs_pb2_grpc import JobsServiceServicer

from aggregator.jobs import JobView
from aggregator.served import Registry
from aggregator.servicers.context import Context, send
from aggregator.tools import Tools
from protocol.refusals import Draining

# Watchers wake at each change; this only bounds how long a stop can stay unnoticed.
_WATCH_SECONDS = 5.0
_PAUSE_SECONDS = 0.25
_KINDS = {"linear": JobKind.JOB_KIND_LINEAR, "rule": JobKind.JOB_KIND_RULE}


class ProofJobs(JobsServiceServicer):
    def __init__(self, tools: Tools, registry: Registry) -> None:
        self._tools = tools
        self._registry = registry

    async def ListJobs(self, request: ListJobsRequest, context: Context) -> ListJobsResponse:  # noqa: N802
        await self._require_task(request.task_id)
        return ListJobsResponse(jobs=self._jobs(request.task_id))

    async def WatchJobs(  # type: ignore[override]  # noqa: N802  (sends by itself, to know when nothing is taken)
        self, request: WatchJobsRequest, context: Context
    ) -> None:
        await self._require_task(request.task_id)
        seen = -1
        while not self._tools.draining.is_set():
            version = self._tools.jobs.snapshot().version
            if version != seen:
                seen = version
                response = WatchJobsResponse(jobs=self._jobs(request.task_id))
                await send(context, response, self._tools.config.idle_seconds)
                await asyncio.sleep(_PAUSE_SECONDS)
            await self._tools.jobs.wait_for_change(seen, _WATCH_SECONDS)
        raise Draining("the service is stopping")

    async def _require_task(self, task_id: int) -> None:
        if task_id:
            await self._registry.get(task_id)

    def _jobs(self, task_id: int) -> list[Job]:
        views = self._tools.jobs.snapshot().jobs
        return [_message(view) for view in views if task_id in (0, view.task_id)]


def _message(view: JobView) -> Job:
    return Job(
        job_id=view.job_id,
        kind=_KINDS[view.kind],
        task_id=view.task_id,
        round=view.round,
        state=JobState.ValueType(view.state),
        queue_place=view.queue_place,
        stage=view.stage,
        done=view.done,
        total=view.total,
        attempt=view.attempt,
        memory_bytes=view.memory_bytes,
        waited_seconds=view.waited_seconds,
        seconds=view.seconds,
    )
