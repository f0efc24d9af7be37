"""merit.v1.ModelsService"""

from collections.abc import AsyncIterator

from merit.v1.models_pb2 import (
    DownloadModelRequest,
    DownloadModelResponse,
    GetGenesisStatusRequest,
    GetGenesisStatusResponse,
    GetModelInfoRequest,
    GetModelInfoResponse,
    ModelInfo,
    UploadGenesisRequest,
    UploadGenesisResponse,
)
from merit.v1.models_pb2_grpc import ModelsServiceServicer
from merit.v1.types_pb2 import Chunk

from aggregator.downloads import Downloads
from aggregator.genesis import GenesisIntake
from aggregator.limits import address_of
from aggregator.records import Model
from aggregator.served import Registry
from aggregator.servicers.context import Context, received
from aggregator.tools import Tools, off_loop
from protocol import wire
from protocol.refusals import UnknownModel


class Models(ModelsServiceServicer):
    def __init__(self, tools: Tools, registry: Registry, genesis: GenesisIntake, downloads: Downloads) -> None:
        self._tools = tools
        self._genesis = genesis
        self._registry = registry
        self._downloads = downloads

    async def GetModelInfo(  # noqa: N802
        self, request: GetModelInfoRequest, context: Context
    ) -> GetModelInfoResponse:
        model = await self._model(request.task_id, request.version)
        return GetModelInfoResponse(model=_message(model), manifest=model.manifest)

    async def DownloadModel(  # type: ignore[override]  # noqa: N802
        self, request: DownloadModelRequest, context: Context
    ) -> None:
        model = await self._model(request.task_id, request.version)

        def response(chunk: Chunk, total_bytes: int) -> DownloadModelResponse:
            return DownloadModelResponse(chunk=chunk, total_bytes=total_bytes)

        await self._downloads.send(model.cid, request.range, context, response)

    async def UploadGenesis(  # noqa: N802
        self, request_iterator: AsyncIterator[UploadGenesisRequest], context: Context
    ) -> UploadGenesisResponse:
        messages = received(context, self._tools.config.idle_seconds)
        return UploadGenesisResponse(model=_message(await self._genesis.upload(messages, address_of(context.peer()))))

    async def GetGenesisStatus(  # noqa: N802
        self, request: GetGenesisStatusRequest, context: Context
    ) -> GetGenesisStatusResponse:
        task = await self._registry.get(request.task_id)
        return GetGenesisStatusResponse(received_bytes=await off_loop(self._genesis.received_bytes, task))

    async def _model(self, task_id: int, version: int) -> Model:
        await self._registry.get(task_id)
        model = await off_loop(self._tools.state.model, task_id, version)
        if model is None:
            raise UnknownModel(f"version: task {task_id} has no model {version} yet", field="version")
        return model


def _message(model: Model) -> ModelInfo:
    return ModelInfo(
        task_id=model.task_id,
        version=model.version,
        cid=model.cid,
        size_bytes=model.size_bytes,
        commitment=wire.point_message(model.point),
    )
