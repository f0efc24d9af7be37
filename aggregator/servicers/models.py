"""merit.v1.ModelsService"""

import time
from collections.abc import AsyncIterator

from merit.v1.models_pb2 import (
    DownloadModelRequest,
    DownloadModelResponse,
    GenesisHeader,
    GetModelInfoRequest,
    GetModelInfoResponse,
    ModelInfo,
    UploadGenesisRequest,
    UploadGenesisResponse,
)
from merit.v1.models_pb2_grpc import ModelsServiceServicer
from merit.v1.types_pb2 import Chunk

from aggregator.downloads import Downloads
from aggregator.limits import Pace
from aggregator.records import Model
from aggregator.served import Registry, ServedTask
from aggregator.servicers.context import Context, received
from aggregator.tools import Tools, off_loop, spend
from circuits.bn254 import G1Point
from protocol import wire
from protocol.calls import UPLOAD_GENESIS, read_call
from protocol.holders import holder_of
from protocol.refusals import Draining, InvalidField, MalformedContent, NotOwner, UnknownModel
from protocol.terms import Derived, UnacceptableTerms, check_genesis
from store.interface import Draft
from store.objects import model_size_limit_bytes


class Models(ModelsServiceServicer):
    def __init__(self, tools: Tools, registry: Registry, downloads: Downloads) -> None:
        self._tools = tools
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
        if self._tools.draining.is_set():
            raise Draining("the service is stopping")
        messages = received(context, self._tools.config.idle_seconds)
        first = await anext(messages, None)
        if first is None or first.WhichOneof("part") != "header":
            raise InvalidField.of("header", "none", "an upload starts with it")
        call, header = read_call(first.header, GenesisHeader(), int(time.time()))
        call.check_signature(self._tools.market.domain, UPLOAD_GENESIS, task_id=header.task_id)
        task = await self._registry.get(header.task_id)
        terms = await task.terms()
        if call.signer != task.view.owner:
            raise NotOwner(
                f"header.signer: {call.signer} does not own task {task.task_id}",
                field="header.signer",
                limit=task.view.owner,
            )
        await spend(call, self._tools)
        known = await off_loop(self._tools.state.model, task.task_id, 0)
        if known is None:
            limit_bytes = model_size_limit_bytes(task.config.dim)
            if not 0 < header.size_bytes <= limit_bytes:
                raise InvalidField.of("size_bytes", header.size_bytes, f"it has at most {limit_bytes} bytes")
            known = await self._receive(task, terms, wire.Assembly(header.size_bytes), messages)
        return UploadGenesisResponse(model=_message(known))

    async def _receive(
        self, task: ServedTask, terms: Derived, assembly: wire.Assembly, messages: AsyncIterator[UploadGenesisRequest]
    ) -> Model:
        config = self._tools.config
        pace = Pace(grace_seconds=config.idle_seconds, bytes_per_second=config.min_upload_bytes_per_second)
        with await off_loop(self._tools.store.draft) as draft:
            async for message in messages:
                if message.WhichOneof("part") != "chunk":
                    raise InvalidField.of("part", message.WhichOneof("part"), "after the header come chunks")
                await off_loop(draft.write, assembly.take(message.chunk))
                pace.check(assembly.received_bytes)
            assembly.require_complete()
            model = await self._tools.with_store(_keep, draft, task, terms, self._tools)
        await off_loop(self._tools.state.put_model, model)
        await task.notify()
        return model

    async def _model(self, task_id: int, version: int) -> Model:
        await self._registry.get(task_id)
        model = await off_loop(self._tools.state.model, task_id, version)
        if model is None:
            raise UnknownModel(f"version: task {task_id} has no model {version} yet", field="version")
        return model


def _keep(draft: Draft, task: ServedTask, terms: Derived, tools: Tools) -> Model:
    try:
        check_genesis(draft.read(), task.config, terms.srs)
    except UnacceptableTerms as error:
        raise MalformedContent(str(error), field=error.field, limit=error.limit) from None
    cid = draft.keep()
    tools.store.pin(cid, holder_of(task.task_id))
    return Model(
        task_id=task.task_id,
        version=0,
        cid=cid,
        size_bytes=draft.size_bytes,
        point=G1Point(*task.config.genesis),
    )


def _message(model: Model) -> ModelInfo:
    return ModelInfo(
        task_id=model.task_id,
        version=model.version,
        cid=model.cid,
        size_bytes=model.size_bytes,
        commitment=wire.point_message(model.point),
    )
