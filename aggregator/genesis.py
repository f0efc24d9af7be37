"""First models: the owner of a task brings the bytes that the task's genesis commitment is to."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from merit.v1.models_pb2 import GenesisHeader, UploadGenesisRequest

from aggregator.limits import Flow, Limits, Pace
from aggregator.partials import Partial, PartialKey, Partials
from aggregator.receiving import receive
from aggregator.records import Model
from aggregator.served import Registry, ServedTask
from aggregator.tools import Tools, off_loop, spend
from circuits.bn254 import G1Point
from protocol.calls import UPLOAD_GENESIS, Claimed, read_call
from protocol.holders import holder_of
from protocol.refusals import Draining, InvalidField, MalformedContent, NotOwner, Refusal, TooManyUploads
from protocol.terms import Derived, UnacceptableTerms, check_genesis
from store.errors import StorageFull
from store.objects import model_size_limit_bytes


class GenesisIntake:
    """Takes first models. One for the process."""

    def __init__(self, tools: Tools, registry: Registry, limits: Limits) -> None:
        self._tools = tools
        self._registry = registry
        self._limits = limits
        self.partials = Partials(tools.config.data_directory / "genesis", tools.config.partial_seconds)
        self._uploading: set[int] = set()

    async def upload(self, messages: AsyncIterator[UploadGenesisRequest], address: str) -> Model:
        """Takes the first model of a task; the one that is there, if it is.

        Args:
            address: where it comes from.
        Raises:
            Refusal: one of `protocol.refusals`; nothing is kept then but what an upload may go on from.
        """
        if self._tools.draining.is_set():
            raise Draining("the service is stopping")
        call, header = _read_header(await anext(messages, None))
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
        if known is not None:
            return known
        limit_bytes = model_size_limit_bytes(task.config.dim)
        if not 0 < header.size_bytes <= limit_bytes:
            raise InvalidField.of("size_bytes", header.size_bytes, f"it has at most {limit_bytes} bytes")
        config = self._tools.config
        pace = Pace(grace_seconds=config.idle_seconds, bytes_per_second=config.min_upload_bytes_per_second)
        with self._one_of(task.task_id):
            flow = Flow(self._limits, address, pace)
            partial = await receive(messages, self.partials, _key_of(task), header.size_bytes, flow)
            model = await self._keep(partial, task, terms)
            await off_loop(self._tools.state.put_model, model)
        await task.notify()
        return model

    def received_bytes(self, task: ServedTask) -> int:
        """How much of a task's first model is there; blocks on the disk."""
        return self.partials.received_bytes(_key_of(task))

    def is_awaited(self, task_id: int, _: int) -> bool:
        """Whether a task has no first model yet; blocks on the disk."""
        return self._tools.state.model(task_id, 0) is None

    async def _keep(self, partial: Partial, task: ServedTask, terms: Derived) -> Model:
        """Checks the bytes and puts them into the store. Another attempt would find the same, so they go."""
        try:
            model = await self._tools.with_store(_kept, partial, task, terms, self._tools)
        except (Refusal, StorageFull):
            partial.discard()
            raise
        partial.discard()
        return model

    @contextmanager
    def _one_of(self, task_id: int) -> Iterator[None]:
        if task_id in self._uploading:
            raise TooManyUploads(f"uploads: task {task_id}'s model is under way", limit="one at once a task")
        self._uploading.add(task_id)
        try:
            yield
        finally:
            self._uploading.remove(task_id)


def _read_header(message: UploadGenesisRequest | None) -> tuple[Claimed, GenesisHeader]:
    if message is None or message.WhichOneof("part") != "header":
        raise InvalidField.of("header", "none", "an upload starts with it")
    return read_call(message.header, GenesisHeader(), int(time.time()))


def _key_of(task: ServedTask) -> PartialKey:
    return PartialKey(task_id=task.task_id, round=0, sender=task.view.owner, cid=task.config.genesis_cid)


def _kept(partial: Partial, task: ServedTask, terms: Derived, tools: Tools) -> Model:
    data = partial.path.read_bytes()
    try:
        check_genesis(data, task.config, terms.srs)
    except UnacceptableTerms as error:
        raise MalformedContent(str(error), field=error.field, limit=error.limit) from None
    return Model(
        task_id=task.task_id,
        version=0,
        cid=tools.store.put_for(holder_of(task.task_id), data),
        size_bytes=len(data),
        point=G1Point(*task.config.genesis),
    )
