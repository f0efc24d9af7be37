"""The upload path: from a stream of strangers' messages to a durable update and a signed receipt.

What costs least is checked first, and nothing is received before its sender has proven to be a trainer of the task. An
update is durable before its receipt is signed, and in the round before the round is sealed, so nothing that was
acknowledged is lost.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from eth_typing import ChecksumAddress
from merit.v1.types_pb2 import Receipt
from merit.v1.updates_pb2 import Dtype, UpdateHeader, UploadUpdateRequest

from aggregator.records import Step, Update
from aggregator.served import Registry, ServedTask
from aggregator.state import point_already_used, require_same
from aggregator.tools import Tools, off_loop
from circuits.bn254 import G1Point
from circuits.commitment import check_opening, fits_round
from circuits.errors import CommitmentMismatch, FieldError
from contracts.bindings import eip712
from protocol import wire
from protocol.refusals import (
    ContentMismatch,
    Draining,
    InvalidField,
    InvalidSignature,
    LateUpdate,
    MalformedContent,
    NotJoined,
    OutOfRange,
    RoundNotCollecting,
    TooManyUploads,
    WrongCommitment,
)
from protocol.terms import Derived
from store.cid import to_text
from store.errors import InvalidCid, MalformedObject
from store.local import Draft
from store.objects import decode_update, update_dtype, update_size_bytes

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
    content_sha256: bytes
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

    def __init__(self, tools: Tools, registry: Registry) -> None:
        self._tools = tools
        self._registry = registry
        self._uploading: set[tuple[int, ChecksumAddress]] = set()

    async def upload(self, messages: AsyncIterator[UploadUpdateRequest]) -> Receipt:
        """Takes one update.

        Raises:
            Refusal: one of `protocol.refusals`; the update is then not in its round.
        """
        if self._tools.draining.is_set():
            raise Draining("the service is stopping")
        claim = _read_header(await anext(messages, None))
        task = await self._registry.get(claim.task_id)
        terms = await task.terms()
        if claim.trainer != task.referee and not await task.has_joined(claim.trainer, self._tools):
            raise NotJoined(f"trainer: {claim.trainer} has not joined task {claim.task_id}", field="trainer")
        known = await self._admissible(claim)
        if known is not None:
            return self.receipt(known)
        _check_shape(claim, terms)
        self._check_signature(claim)
        _check_point_is_new(claim, task)
        with self._place(claim):
            await self._take(messages, claim, terms)
        update = claim.update(int(time.time()))
        admitted = await off_loop(self._tools.state.admit, update, task.places, task.referee)
        self._tools.log.info(
            "update.received", task=claim.task_id, round=claim.round, trainer=claim.trainer, cid=to_text(claim.cid)
        )
        await task.notify()
        return self.receipt(admitted)

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
        )
        signature = eip712.sign_receipt(self._tools.account, self._tools.market.domain, message)
        return wire.receipt_message(message, update.cid, signature)

    @contextmanager
    def _place(self, claim: _Claim) -> Iterator[None]:
        """One of the places for uploads; a trainer has at most one."""
        limit, trainer = self._tools.config.max_uploads, (claim.task_id, claim.trainer)
        if trainer in self._uploading:
            raise TooManyUploads(f"uploads: one of {claim.trainer} is under way", limit="one at once a trainer")
        if len(self._uploading) >= limit:
            raise TooManyUploads(f"uploads: {limit} are under way", limit=f"{limit} at once")
        self._uploading.add(trainer)
        try:
            yield
        finally:
            self._uploading.remove(trainer)

    async def _take(self, messages: AsyncIterator[UploadUpdateRequest], claim: _Claim, terms: Derived) -> None:
        """Receives, checks and keeps the update's bytes."""
        with await off_loop(self._tools.store.draft) as draft:
            await self._receive(messages, claim, draft)
            await off_loop(_check_content, claim, terms, draft)
            await off_loop(draft.keep)
            self._tools.boundary("store.update")

    async def _admissible(self, claim: _Claim) -> Update | None:
        """The stored update, if this one came before; refuses what the round cannot take."""
        known = await off_loop(self._tools.state.update, claim.task_id, claim.round, claim.trainer)
        if known is not None:
            return require_same(known, claim.update(0))
        round = await off_loop(self._tools.state.round, claim.task_id, claim.round)
        where = f"round: {claim.round} of task {claim.task_id}"
        if round is None:
            raise RoundNotCollecting(f"{where} has not begun", field="round")
        if round.step != Step.COLLECTING:
            raise LateUpdate(f"{where} takes no more updates", field="round")
        return None

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

    async def _receive(self, messages: AsyncIterator[UploadUpdateRequest], claim: _Claim, draft: Draft) -> None:
        assembly, sha256 = wire.Assembly(claim.size_bytes), hashlib.sha256()
        async for message in messages:
            if message.WhichOneof("part") != "chunk":
                raise InvalidField.of("part", message.WhichOneof("part"), "after the header come chunks")
            data = assembly.take(message.chunk)
            sha256.update(data)
            await off_loop(draft.write, data)
        assembly.require_complete()
        if sha256.digest() != claim.content_sha256:
            raise ContentMismatch(
                f"content_sha256: the bytes hash to {sha256.hexdigest()}",
                field="content_sha256",
                limit=claim.content_sha256.hex(),
            )
        if draft.cid() != claim.cid:
            raise ContentMismatch(f"cid: the bytes have {to_text(draft.cid())}", field="cid", limit=to_text(claim.cid))


def _read_header(message: UploadUpdateRequest | None) -> _Claim:
    if message is None or message.WhichOneof("part") != "header":
        raise InvalidField.of("header", "none", "an upload starts with it")
    header: UpdateHeader = message.header
    if len(header.content_sha256) != 32:
        raise InvalidField.of("content_sha256", f"{len(header.content_sha256)} bytes", "SHA-256 has 32")
    if len(header.signature) != wire.SIGNATURE_BYTES:
        raise InvalidSignature(
            f"signature: got {len(header.signature)} bytes, but it has {wire.SIGNATURE_BYTES}", field="signature"
        )
    try:
        to_text(header.cid)
    except InvalidCid as error:
        raise InvalidField(str(error), field="cid", limit="a CIDv1 of SHA-256") from None
    return _Claim(
        task_id=header.task_id,
        round=header.round,
        trainer=wire.read_address(header.trainer, "trainer"),
        point=wire.read_point(header.point),
        cid=header.cid,
        signature=header.signature,
        content_sha256=header.content_sha256,
        size_bytes=header.size_bytes,
        dtype=header.dtype,
    )


def _check_shape(claim: _Claim, terms: Derived) -> None:
    statement = terms.statement
    expected_dtype = _DTYPES[update_dtype(statement.fmt)]
    if claim.dtype != expected_dtype:
        name = Dtype.Name(expected_dtype)
        raise MalformedContent(f"dtype: the task's updates are {name}", field="dtype", limit=name)
    expected_bytes = update_size_bytes(statement.dim, statement.fmt)
    if claim.size_bytes != expected_bytes:
        raise MalformedContent(
            f"size_bytes: got {claim.size_bytes}, but an update of {statement.dim} entries has {expected_bytes}",
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


def _check_content(claim: _Claim, terms: Derived, draft: Draft) -> None:
    statement = terms.statement
    try:
        column = decode_update(draft.read(), statement.dim, statement.fmt)
    except MalformedObject as error:
        raise MalformedContent(str(error), field=error.field, limit=error.limit) from None
    except FieldError as error:
        raise OutOfRange(str(error), field=error.field, limit=error.limit) from None
    try:
        check_opening(column, claim.point, terms.srs)
    except CommitmentMismatch:
        raise WrongCommitment(
            "point: the bytes do not open this commitment", field="point", limit="the commitment of the bytes"
        ) from None
