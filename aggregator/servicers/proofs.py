"""merit.v1.ProofsService"""

from merit.v1.proofs_pb2 import DownloadProofRequest, DownloadProofResponse
from merit.v1.proofs_pb2_grpc import ProofsServiceServicer
from merit.v1.types_pb2 import Chunk

from aggregator.downloads import Downloads
from aggregator.records import Layer
from aggregator.served import Registry
from aggregator.servicers.context import Context
from aggregator.tools import Tools, off_loop
from protocol.refusals import InvalidField, UnknownProof


class ProofDownloads(ProofsServiceServicer):
    def __init__(self, tools: Tools, registry: Registry, downloads: Downloads) -> None:
        self._tools = tools
        self._registry = registry
        self._downloads = downloads

    async def DownloadProof(  # type: ignore[override]  # noqa: N802
        self, request: DownloadProofRequest, context: Context
    ) -> None:
        await self._registry.get(request.task_id)
        if int(request.layer) not in set(Layer):
            raise InvalidField.of("layer", request.layer, "it must be linear or rule")
        cid = await off_loop(self._tools.state.proof, request.task_id, request.round, Layer(request.layer))
        if cid is None:
            raise UnknownProof(f"round: task {request.task_id} has no such proof of round {request.round} yet")

        def response(chunk: Chunk, total_bytes: int) -> DownloadProofResponse:
            return DownloadProofResponse(chunk=chunk, total_bytes=total_bytes)

        await self._downloads.send(cid, request.range, context, response)
