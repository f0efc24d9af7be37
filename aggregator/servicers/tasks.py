"""merit.v1.TasksService"""

import asyncio
import time

from eth_typing import ChecksumAddress
from merit.v1.tasks_pb2 import (
    CreateTaskRequest,
    CreateTaskResponse,
    GetTaskRequest,
    GetTaskResponse,
    ListTasksRequest,
    ListTasksResponse,
    Task,
    TaskCreation,
    TaskStatus,
)
from merit.v1.tasks_pb2_grpc import TasksServiceServicer

from aggregator.policy import check_memory, check_policy
from aggregator.served import Registry, ServedTask
from aggregator.servicers.context import Context
from aggregator.tools import Tools, off_loop, spend
from contracts.bindings import (
    ChainRefused,
    Creation,
    InvalidTransaction,
    TaskState,
    TransactionReverted,
    TransactionTimeout,
    created_task,
    read_creation,
    relay,
)
from protocol import wire
from protocol.calls import CREATE_TASK, read_call
from protocol.refusals import ChainDown, Draining, InvalidField, TermsRefused, TransactionRefused
from protocol.terms import UnacceptableTerms, check_terms
from store.keywrap import Receiver

MAX_PAGE = 100
_STATUS = {
    TaskState.FUNDED: TaskStatus.TASK_STATUS_FUNDED,
    TaskState.OPEN: TaskStatus.TASK_STATUS_OPEN,
    TaskState.CLOSED: TaskStatus.TASK_STATUS_CLOSED,
}


class Tasks(TasksServiceServicer):
    def __init__(self, tools: Tools, registry: Registry) -> None:
        self._tools = tools
        self._registry = registry
        # Looking at terms takes the prover, which rounds need too.
        self._creating = asyncio.Lock()

    async def GetTask(self, request: GetTaskRequest, context: Context) -> GetTaskResponse:  # noqa: N802
        return GetTaskResponse(task=await self._message(await self._registry.get(request.task_id)))

    async def ListTasks(self, request: ListTasksRequest, context: Context) -> ListTasksResponse:  # noqa: N802
        if request.limit > MAX_PAGE:
            raise InvalidField.of("limit", request.limit, f"a page has at most {MAX_PAGE}")
        ids = sorted(task_id for task_id in self._registry.tasks if task_id > request.after_task_id)
        page = ids[: request.limit or MAX_PAGE]
        return ListTasksResponse(tasks=[await self._message(self._registry.tasks[task_id]) for task_id in page])

    async def CreateTask(self, request: CreateTaskRequest, context: Context) -> CreateTaskResponse:  # noqa: N802
        if self._tools.draining.is_set():
            raise Draining("the service is stopping")
        call, body = read_call(request.call, TaskCreation(), int(time.time()))
        call.check_signature(self._tools.market.domain, CREATE_TASK)
        creation = self._read(body.raw_transaction, call.signer)
        await spend(call, self._tools)
        try:
            task_id = await off_loop(created_task, self._tools.market, creation.tx_hash)
            if task_id is None:
                async with self._creating:
                    await self._check(creation)
                    task_id = await off_loop(relay, self._tools.market, creation)
        except (TransactionReverted, ChainRefused) as error:
            raise TransactionRefused(f"raw_transaction: {error}", field="raw_transaction") from None
        except TransactionTimeout as error:
            raise ChainDown(f"raw_transaction: sent, and not mined yet ({error}); ask again") from None
        self._tools.log.info("task.relayed", task=task_id, owner=creation.sender, transaction=creation.tx_hash.hex())
        return CreateTaskResponse(task_id=task_id, transaction=creation.tx_hash)

    def _read(self, raw: bytes, signer: ChecksumAddress) -> Creation:
        try:
            creation = read_creation(self._tools.market, raw)
        except InvalidTransaction as error:
            raise TransactionRefused(f"raw_transaction.{error}", field="raw_transaction", limit=error.limit) from None
        if creation.sender != signer:
            raise TransactionRefused(
                f"raw_transaction: it is {creation.sender}'s", field="raw_transaction", limit=f"{signer}'s"
            )
        return creation

    async def _check(self, creation: Creation) -> None:
        """TermsRefused unless this aggregator would serve the task."""
        tools, terms = self._tools, creation.config
        try:
            if terms.aggregator != tools.account.address:
                raise UnacceptableTerms("aggregator", terms.aggregator, f"this is {tools.account.address}")
            check_policy(terms, tools.config)
            check_memory(terms, tools.jobs)
            await tools.with_prover(check_terms, terms, tools.chain, tools.prover)
        except UnacceptableTerms as error:
            raise TermsRefused(str(error), field=error.field, limit=error.limit) from None

    async def _message(self, task: ServedTask) -> Task:
        config = task.config
        genesis = await off_loop(self._tools.state.model, task.task_id, 0)
        return Task(
            task_id=task.task_id,
            chain_id=self._tools.chain.chain_id,
            market=wire.address_bytes(self._tools.market.address),
            aggregator=wire.address_bytes(self._tools.account.address),
            status=TaskStatus.TASK_STATUS_REFUSED if task.refusal else _STATUS[task.view.state],
            refusal=task.refusal,
            rule_name=config.rule_name,
            rounds=config.rounds,
            current_round=task.view.current_round,
            slots=config.slots,
            dim=config.dim,
            bits=config.bits,
            genesis_cid=config.genesis_cid,
            has_genesis=genesis is not None,
            aggregator_key=Receiver.of(self._tools.account).public_key,
        )
