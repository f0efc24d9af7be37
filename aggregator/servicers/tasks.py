"""merit.v1.TasksService"""

from merit.v1.tasks_pb2 import GetTaskRequest, GetTaskResponse, ListTasksRequest, ListTasksResponse, Task, TaskStatus
from merit.v1.tasks_pb2_grpc import TasksServiceServicer

from aggregator.served import Registry, ServedTask
from aggregator.servicers.context import Context
from aggregator.tools import Tools, off_loop
from contracts.bindings import TaskState
from protocol import wire
from protocol.refusals import InvalidField

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

    async def GetTask(self, request: GetTaskRequest, context: Context) -> GetTaskResponse:  # noqa: N802
        return GetTaskResponse(task=await self._message(await self._registry.get(request.task_id)))

    async def ListTasks(self, request: ListTasksRequest, context: Context) -> ListTasksResponse:  # noqa: N802
        if request.limit > MAX_PAGE:
            raise InvalidField.of("limit", request.limit, f"a page has at most {MAX_PAGE}")
        ids = sorted(task_id for task_id in self._registry.tasks if task_id > request.after_task_id)
        page = ids[: request.limit or MAX_PAGE]
        return ListTasksResponse(tasks=[await self._message(self._registry.tasks[task_id]) for task_id in page])

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
        )
