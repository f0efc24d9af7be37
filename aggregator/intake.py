"""The upload path: from a stream of strangers' messages to a durable update and a signed receipt.

What costs least is checked first, and nothing is received before its sender has proven to be a trainer of the task. An
update is durable before its receipt is signed, and in the round before the round is sealed, so nothing that was
acknowledged is lost.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eth_typing import ChecksumAddress
from merit.v1.types_pb2 import Receipt
from merit.v1.updates_pb2 import Dtype, UpdateHeader, UploadUpdateRequest

from aggregator.checks import Checks, Question, not_sealed
from aggregator.limits import Flow, Limits, Pace
from aggregator.partials import Partial, PartialKey, Partials
from aggregator.receiving import receive
from aggregator.records import Step, Update
from aggregator.served import Registry, ServedTask
from aggregator.state import point_already_used
from aggregator.tools import Tools, off_loop, spend
from aggregator.unsealing import key_of_header
from circuits.bn254 import G1Point
from circuits.commitment import fits_round
from contracts.bindings import eip712
from process import logs
from protocol import wire
from protocol.calls import UPLOAD_UPDATE, Claimed, read_call
from protocol.holders import holder_of
from protocol.refusals import (
    ContentMismatch,
    Draining,
    InvalidField,
    InvalidSignature,
    LateUpdate,
    MalformedContent,
    NotJoined,
    Refusal,
    TooManyUploads,
)
from protocol.sealing import HEADER_BYTES, sealed_update_size_bytes
from protocol.terms import Derived
from store.cid import to_text
from store.errors import SealError, StorageFull
from store.interface import Store
from store.objects import update_dtype

_DTYPES = {"I8": Dtype.DTYPE_INT8, "I16": Dtype.DTYPE_INT16}


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """What a header says, well-formed but not yet believed."""

    task_id: int
    round: int
    trainer: ChecksumAddress
    point: G1Point
    cid: bytes
    signature: bytes
    size_bytes: int
    dtype: Dtype.ValueType

    def signed(self) -> eip712.UpdateCommitment:
        return eip712.UpdateCommitment(
            task_id=self.task_id,
            round=self.round,
            point_x=self.point.x,
            point_y=self.point.y,
            cid_digest=eip712.cid_digest(self.cid),
        )

    def key(self) -> PartialKey:
        return PartialKey(task_id=self.task_id, round=self.round, sender=self.trainer, cid=self.cid)

    def update(self, received_at_seconds: int) -> Update:
        return Update(
            task_id=self.task_id,
            round=self.round,
            trainer=self.trainer,
            point=self.point,
            cid=self.cid,
            signature=self.signature,
            received_at_seconds=received_at_seconds,
        )


class Intake:
    """Takes updates. One for the process."""

    def __init__(self, tools: Tools, registry: Registry, limits: Limits) -> None:
        self._tools = tools
        self._registry = registry
        self._limits = limits
        self.partials = Partials(tools.config.data_directory / "partials", tools.config.partial_seconds)
        self._uploading: set[tuple[int, ChecksumAddress]] = set()
        self._receiving = 0
        self.checks = Checks()

    async def upload(self, messages: AsyncIterator[UploadUpdateRequest], address: str) -> Receipt:
        """Takes one update.

        Args:
            address: where it comes from.
        Raises:
            Refusal: one of `protocol.refusals`; the update is then not in its round.
        """
        if self._tools.draining.is_set():
            raise Draining("the service is stopping")
        call, claim = _read_header(await anext(messages, None))
        call.check_signature(self._tools.market.domain, UPLOAD_UPDATE, task_id=claim.task_id, round=claim.round)
        logs.bind(task=claim.task_id, round=claim.round, trainer=claim.trainer)
        task = await self._registry.get(claim.task_id)
        terms = await task.terms()
        if claim.trainer != task.referee and not await task.has_joined(claim.trainer, self._tools):
            raise NotJoined(
                f"header.signer: {claim.trainer} has not joined task {claim.task_id}", field="header.signer"
            )
        await spend(call, self._tools)
        known = await self._admissible(claim, task)
        if known is not None:
            return self.receipt(known)
        _check_shape(claim, terms)
        self._check_signature(claim)
        _check_point_is_new(claim, task)
        with self._one_of(claim):
            partial = await self._received(messages, claim, task, address)
            await self._keep(claim, terms, partial)
            update = claim.update(int(time.time()))
            admitted = await off_loop(self._tools.state.admit, update, task.places, task.referee)
        self._tools.log.info(
            "update.received", task=claim.task_id, round=claim.round, trainer=claim.trainer, cid=to_text(claim.cid)
        )
        await task.notify(step=False)
        return self.receipt(admitted)

    async def _keep(self, claim: _Claim, terms: Derived, partial: Partial) -> None:
        """Checks an update's bytes and puts them into the store. Another attempt would find the same, so they go."""
        statement = terms.statement

        def ask() -> Question:
            return Question(
                path=partial.path,
                key=self._key_of(claim, partial.path),
                dim=statement.dim,
                fmt=statement.fmt,
                point=claim.point,
                srs_path=terms.srs.path,
            )

        try:
            await self.checks.check(ask)
            await self._tools.with_store(_put, partial.path, claim, self._tools.store)
            self._tools.boundary("store.update")
        except FileNotFoundError:
            # The round was sealed while they waited for their check.
            raise LateUpdate(
                f"round: {claim.round} of task {claim.task_id} takes no more updates", field="round"
            ) from None
        except (Refusal, StorageFull):
            partial.discard()
            raise
        partial.discard()

    def _key_of(self, claim: _Claim, path: Path) -> bytes:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
        try:
            return key_of_header(
                header, task_id=claim.task_id, round=claim.round, sender=claim.trainer, tools=self._tools
            )
        except SealError as error:
            raise not_sealed(error) from None

    def receipt(self, update: Update) -> Receipt:
        """The receipt of a durable update; signing is deterministic, so it is the same each time."""
        message = eip712.Receipt(
            task_id=update.task_id,
            round=update.round,
            trainer=update.trainer,
            point_x=update.point.x,
            point_y=update.point.y,
            cid_digest=eip712.cid_digest(update.cid),
            received_at_seconds=update.received_at_seconds,
            stored_until_seconds=update.received_at_seconds + self._tools.config.retention_seconds,
        )
        signature = eip712.sign_receipt(self._tools.account, self._tools.market.domain, message)
        return wire.receipt_message(message, update.cid, signature)

    @contextmanager
    def _one_of(self, claim: _Claim) -> Iterator[None]:
        """A trainer has one upload under way."""
        trainer = (claim.task_id, claim.trainer)
        if trainer in self._uploading:
            raise TooManyUploads(f"uploads: one of {claim.trainer} is under way", limit="one at once a trainer")
        self._uploading.add(trainer)
        try:
            yield
        finally:
            self._uploading.remove(trainer)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places of those that send; who waits for a check needs none."""
        limit = self._tools.config.max_uploads
        if self._receiving >= limit:
            raise TooManyUploads(f"uploads: {limit} are under way", limit=f"{limit} at once")
        self._receiving += 1
        try:
            yield
        finally:
            self._receiving -= 1

    async def _admissible(self, claim: _Claim, task: ServedTask) -> Update | None:
        """The stored update, if this one came before; refuses what the round cannot take."""
        return await off_loop(self._tools.state.admissible, claim.update(0), task.places, task.referee)

    def collects(self, task_id: int, round: int) -> bool:
        """Whether a round takes updates; blocks on the disk."""
        found = self._tools.state.round(task_id, round)
        return found is not None and found.step == Step.COLLECTING

    def _check_signature(self, claim: _Claim) -> None:
        try:
            signer = eip712.recover_update(self._tools.market.domain, claim.signed(), claim.signature)
        except ValueError as error:
            raise InvalidSignature(f"signature: {error}", field="signature") from None
        if signer != claim.trainer:
            raise InvalidSignature(
                f"signature: it is {signer}'s, or over another update",
                field="signature",
                limit=f"{claim.trainer}'s EIP-712 signature over this UpdateCommitment",
            )

    async def _received(
        self, messages: AsyncIterator[UploadUpdateRequest], claim: _Claim, task: ServedTask, address: str
    ) -> Partial:
        """All bytes of an update, on disk, unless the round stops to take it meanwhile."""
        config, seen = self._tools.config, task.version
        pace = Pace(grace_seconds=config.idle_seconds, bytes_per_second=config.min_upload_bytes_per_second)

        async def still_welcome() -> None:
            nonlocal seen
            if task.version != seen:
                seen = task.version
                await self._admissible(claim, task)

        with self._place():
            flow = Flow(self._limits, address, pace)
            partial = await receive(messages, self.partials, claim.key(), claim.size_bytes, flow, between=still_welcome)
        if partial.cid() != claim.cid:
            partial.discard()
            raise _mismatch(partial.cid(), claim.cid)
        return partial


def _put(path: Path, claim: _Claim, store: Store) -> None:
    """Keeps the bytes of a file, which must still be those that came."""
    found = store.put(path.read_bytes())
    if found != claim.cid:
        raise _mismatch(found, claim.cid)
    store.pin(found, holder_of(claim.task_id))


def _mismatch(found: bytes, expected: bytes) -> ContentMismatch:
    return ContentMismatch(f"cid: the bytes have {to_text(found)}", field="cid", limit=to_text(expected))


def _read_header(message: UploadUpdateRequest | None) -> tuple[Claimed, _Claim]:
    if message is None or message.WhichOneof("part") != "header":
        raise InvalidField.of("header", "none", "an upload starts with it")
    call, header = read_call(message.header, UpdateHeader(), int(time.time()))
    if len(header.signature) != wire.SIGNATURE_BYTES:
        raise InvalidSignature(
            f"signature: got {len(header.signature)} bytes, but it has {wire.SIGNATURE_BYTES}", field="signature"
        )
    claim = _Claim(
        task_id=header.task_id,
        round=header.round,
        trainer=call.signer,
        point=wire.read_point(header.point),
        cid=wire.read_cid(header.cid, "cid"),
        signature=header.signature,
        size_bytes=header.size_bytes,
        dtype=header.dtype,
    )
    return call, claim


def _check_shape(claim: _Claim, terms: Derived) -> None:
    statement = terms.statement
    expected_dtype = _DTYPES[update_dtype(statement.fmt)]
    if claim.dtype != expected_dtype:
        name = Dtype.Name(expected_dtype)
        raise MalformedContent(f"dtype: the task's updates are {name}", field="dtype", limit=name)
    expected_bytes = sealed_update_size_bytes(statement.dim, statement.fmt)
    if claim.size_bytes != expected_bytes:
        raise MalformedContent(
            f"size_bytes: got {claim.size_bytes}, but a sealed update of {statement.dim} entries has {expected_bytes}",
            field="size_bytes",
            limit=str(expected_bytes),
        )


def _check_point_is_new(claim: _Claim, task: ServedTask) -> None:
    """Against the task's public points, and other rounds'; `State.admit` checks against all updates."""
    if claim.point.x in (task.config.genesis[0], task.config.empty_column[0]):
        raise point_already_used(claim.point)
    rounds = task.config.rounds
    if not fits_round(claim.point, round=claim.round, rounds=rounds):
        raise InvalidField.of("point", hex(claim.point.x), f"its x modulo {rounds} must be the round, {claim.round}")
