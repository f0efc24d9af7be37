"""merit.v1.UpdatesService"""

from collections.abc import AsyncIterator

from merit.v1.updates_pb2 import (
    GetUpdateStatusRequest,
    GetUpdateStatusResponse,
    GetUploadStatusRequest,
    GetUploadStatusResponse,
    UpdateStatus,
    UploadUpdateRequest,
    UploadUpdateResponse,
)
from merit.v1.updates_pb2_grpc import UpdatesServiceServicer

from aggregator.intake import Intake
from aggregator.limits import address_of
from aggregator.partials import PartialKey
from aggregator.records import Step
from aggregator.served import Registry
from aggregator.servicers.context import Context, received
from aggregator.tools import Tools, off_loop
from contracts.bindings import NOBODY
from protocol import wire
from protocol.refusals import UnknownUpdate


class Updates(UpdatesServiceServicer):
    def __init__(self, tools: Tools, registry: Registry, intake: Intake) -> None:
        self._tools = tools
        self._registry = registry
        self._intake = intake

    async def UploadUpdate(  # noqa: N802
        self, request_iterator: AsyncIterator[UploadUpdateRequest], context: Context
    ) -> UploadUpdateResponse:
        messages = received(context, self._tools.config.idle_seconds)
        return UploadUpdateResponse(receipt=await self._intake.upload(messages, address_of(context.peer())))

    async def GetUploadStatus(  # noqa: N802
        self, request: GetUploadStatusRequest, context: Context
    ) -> GetUploadStatusResponse:
        await self._registry.get(request.task_id)
        key = PartialKey(
            task_id=request.task_id,
            round=request.round,
            sender=wire.read_address(request.trainer, "trainer"),
            cid=wire.read_cid(request.cid, "cid"),
        )
        return GetUploadStatusResponse(received_bytes=await off_loop(self._intake.partials.received_bytes, key))

    async def GetUpdateStatus(  # noqa: N802
        self, request: GetUpdateStatusRequest, context: Context
    ) -> GetUpdateStatusResponse:
        task = await self._registry.get(request.task_id)
        trainer = wire.read_address(request.trainer, "trainer")
        update = await off_loop(self._tools.state.update, request.task_id, request.round, trainer)
        round = await off_loop(self._tools.state.round, request.task_id, request.round)
        if update is None or round is None or trainer == NOBODY:
            raise UnknownUpdate(f"trainer: {trainer} has no update in round {request.round}", field="trainer")
        if update.accepted is not None and trainer != task.referee:
            status = UpdateStatus.UPDATE_STATUS_ACCEPTED if update.accepted else UpdateStatus.UPDATE_STATUS_REJECTED
        elif round.step == Step.COLLECTING:
            status = UpdateStatus.UPDATE_STATUS_RECEIVED
        else:
            status = UpdateStatus.UPDATE_STATUS_SEALED
        return GetUpdateStatusResponse(status=status, receipt=await off_loop(self._intake.receipt, update))
