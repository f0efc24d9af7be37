"""merit.v1.ReceiptsService"""

from merit.v1.receipts_pb2 import (
    DownloadReceiptsRequest,
    DownloadReceiptsResponse,
    GetReceiptRequest,
    GetReceiptResponse,
)
from merit.v1.receipts_pb2_grpc import ReceiptsServiceServicer

from aggregator.intake import Intake
from aggregator.served import Registry
from aggregator.servicers.context import Context, send
from aggregator.tools import Tools, off_loop
from contracts.bindings import NOBODY
from protocol import wire
from protocol.refusals import UnknownUpdate


class Receipts(ReceiptsServiceServicer):
    def __init__(self, tools: Tools, registry: Registry, intake: Intake) -> None:
        self._tools = tools
        self._registry = registry
        self._intake = intake

    async def GetReceipt(self, request: GetReceiptRequest, context: Context) -> GetReceiptResponse:  # noqa: N802
        await self._registry.get(request.task_id)
        trainer = wire.read_address(request.trainer, "trainer")
        update = await off_loop(self._tools.state.update, request.task_id, request.round, trainer)
        if update is None or trainer == NOBODY:
            raise UnknownUpdate(f"trainer: {trainer} has no update in round {request.round}", field="trainer")
        return GetReceiptResponse(receipt=await off_loop(self._intake.receipt, update))

    async def DownloadReceipts(  # type: ignore[override]  # noqa: N802
        self, request: DownloadReceiptsRequest, context: Context
    ) -> None:
        await self._registry.get(request.task_id)
        updates = await off_loop(self._tools.state.updates, request.task_id, request.round)
        # Nobody has sent the previous round's sum.
        wanted = [update for update in updates if update.trainer != NOBODY][request.offset :]
        for update in wanted[: request.length or None]:
            receipt = await off_loop(self._intake.receipt, update)
            await send(context, DownloadReceiptsResponse(receipt=receipt), self._tools.config.idle_seconds)
