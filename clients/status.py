"""How an aggregator is, as anyone can see it: by its own words, and by the chain's, which say when a round ends."""

import asyncio
import time
from typing import Any

from merit.v1.jobs_pb2 import Job, JobKind, JobState
from merit.v1.rounds_pb2 import RoundStep
from merit.v1.tasks_pb2 import Task, TaskStatus
from pydantic import BaseModel, ConfigDict

from clients.connection import UserConfig, transport_of
from clients.errors import AggregatorUnreachable
from clients.service import AggregatorClient
from contracts.bindings import BindingsError, Chain, Market
from process.configuration import masked
from protocol.refusals import Refusal, UnknownRound

SERVICES = (
    "TasksService",
    "RoundsService",
    "UpdatesService",
    "ReceiptsService",
    "AssessmentsService",
    "ModelsService",
    "ProofsService",
    "JobsService",
)
_PATIENCE_SECONDS = 2.0
# What follows a finished step.
UNDER_WAY = {
    "collecting": "collecting updates",
    "sealed": "committing",
    "committed": "proving the linear layer",
    "linear_proven": "proving the rule",
    "rule_proven": "settling",
    "settled": "publishing the model",
    "published": "done",
    "expired": "expired",
}


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChainStatus(_Document):
    """Attributes:
    error: why there is nothing else, or "".
    head_age_seconds: age of the latest block.
    """

    rpc_url: str
    chain_id: int | None = None
    block: int | None = None
    head_age_seconds: int | None = None
    error: str = ""


class StepStatus(_Document):
    """A finished step. `gas_used` is 0 unless it was a transaction."""

    step: str
    finished_at_seconds: int
    seconds: float
    gas_used: int
    transaction: str


class RoundStatus(_Document):
    """A task's current round.

    Attributes:
        round: counted from 0.
        under_way: what comes after the last finished step.
        updates: received; filled slots once the round is sealed.
        deadline_seconds: end of the window, by the chain's clock; None if the chain did not say.
    """

    round: int
    under_way: str
    updates: int
    deadline_seconds: int | None
    steps: list[StepStatus]


class TaskStatusDocument(_Document):
    """A task. `refusal` says why it is not served, or is ""."""

    task_id: int
    status: str
    refusal: str
    rule: str
    rounds: int
    slots: int
    dim: int
    bits: int
    has_genesis: bool
    current: RoundStatus | None


class JobStatus(_Document):
    """A proof that waits or is made: `done` of `total` steps of its stage, where its worker tells."""

    job_id: int
    kind: str
    task_id: int
    round: int
    state: str
    queue_place: int
    stage: str
    done: int
    total: int
    attempt: int
    memory_bytes: int
    waited_seconds: float
    seconds: float


class Status(_Document):
    """An aggregator at one moment.

    Attributes:
        reachable: whether it answers; `error` says why not.
        services: SERVING or NOT_SERVING by name.
        jobs: proofs that wait or are made.
    """

    at_seconds: int
    target: str
    reachable: bool
    error: str = ""
    services: dict[str, str]
    chain: ChainStatus
    tasks: list[TaskStatusDocument]
    jobs: list[JobStatus] = []


async def look(config: UserConfig) -> Status:
    """Asks the aggregator and the chain. Neither has to answer: what is not known is said to be so."""
    chain, market = await asyncio.to_thread(_chain, config)
    seen: dict[str, Any] = {"at_seconds": int(time.time()), "target": config.aggregator_target, "chain": chain}
    async with AggregatorClient(
        config.aggregator_target, transport=transport_of(config), patience_seconds=_PATIENCE_SECONDS
    ) as client:
        try:
            services = {name: await client.health(f"merit.v1.{name}") for name in SERVICES}
            tasks = [await _task(client, market, task) for task in await client.tasks()]
            jobs = [_job(job) for job in await client.jobs()]
        except (AggregatorUnreachable, Refusal) as error:
            return Status(**seen, reachable=False, error=str(error), services={}, tasks=[])
    return Status(**seen, reachable=True, services=services, tasks=tasks, jobs=jobs)


def _chain(config: UserConfig) -> tuple[ChainStatus, Market | None]:
    shown = str(masked(config.rpc_url))
    try:
        chain = Chain(config.rpc_url, timeout_seconds=10)
        age_seconds = max(0, int(time.time()) - chain.now_seconds())
        block = chain.block_number()
        return (
            ChainStatus(rpc_url=shown, chain_id=chain.chain_id, block=block, head_age_seconds=age_seconds),
            Market(chain, config.market),
        )
    except BindingsError as error:
        return ChainStatus(rpc_url=shown, error=str(error)), None


async def _task(client: AggregatorClient, market: Market | None, task: Task) -> TaskStatusDocument:
    return TaskStatusDocument(
        task_id=task.task_id,
        status=TaskStatus.Name(task.status).removeprefix("TASK_STATUS_").lower(),
        refusal=task.refusal,
        rule=task.rule_name,
        rounds=task.rounds,
        slots=task.slots,
        dim=task.dim,
        bits=task.bits,
        has_genesis=task.has_genesis,
        current=await _round(client, market, task),
    )


async def _round(client: AggregatorClient, market: Market | None, task: Task) -> RoundStatus | None:
    try:
        round = await client.round(task.task_id, task.current_round)
    except UnknownRound:
        return None
    deadline_seconds = None
    if market is not None and task.status == TaskStatus.TASK_STATUS_OPEN:
        try:
            deadline_seconds = (await asyncio.to_thread(market.task, task.task_id)).deadline_seconds or None
        except BindingsError:
            deadline_seconds = None
    steps = [
        StepStatus(
            step=_name(report.step),
            finished_at_seconds=report.finished_at_seconds,
            seconds=float(f"{report.seconds:.3f}"),
            gas_used=report.gas_used,
            transaction="0x" + report.transaction.hex() if report.transaction else "",
        )
        for report in round.steps
    ]
    return RoundStatus(
        round=round.round,
        under_way=UNDER_WAY.get(_name(round.step), _name(round.step)),
        updates=len(round.slots),
        deadline_seconds=deadline_seconds,
        steps=steps,
    )


def _job(job: Job) -> JobStatus:
    return JobStatus(
        job_id=job.job_id,
        kind=JobKind.Name(job.kind).removeprefix("JOB_KIND_").lower(),
        task_id=job.task_id,
        round=job.round,
        state=JobState.Name(job.state).removeprefix("JOB_STATE_").lower(),
        queue_place=job.queue_place,
        stage=job.stage,
        done=job.done,
        total=job.total,
        attempt=job.attempt,
        memory_bytes=job.memory_bytes,
        waited_seconds=float(f"{job.waited_seconds:.3f}"),
        seconds=float(f"{job.seconds:.3f}"),
    )


def _name(step: RoundStep.ValueType) -> str:
    return RoundStep.Name(step).removeprefix("ROUND_STEP_").lower()
