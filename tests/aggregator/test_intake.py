"""Uploads over a real channel: what is taken, what is refused and why, and that a refusal loses nothing."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from merit.v1.models_pb2 import GenesisHeader, GetGenesisStatusRequest, UploadGenesisRequest
from merit.v1.types_pb2 import Chunk, Receipt
from merit.v1.updates_pb2 import Dtype, UpdateHeader, UpdateStatus, UploadUpdateRequest
from sqlalchemy import select

from aggregator.errors import ChainBehind, StateTakenOver, StateUnavailable
from aggregator.genesis import _key_of
from aggregator.records import Step
from aggregator.service import Aggregator
from aggregator.tables import NonceRow
from circuits.commitment import SALT_ROWS, Column, commit, draw_for_round
from circuits.fixedpoint import FixedPoint
from clients.errors import AggregatorUnreachable
from clients.service import AggregatorClient
from contracts.bindings import ChainUnavailable, eip712
from protocol import refusals, wire
from protocol.calls import UPLOAD_GENESIS, UPLOAD_UPDATE, CallSigner
from protocol.holders import holder_of
from store.cid import cid_of
from store.objects import encode_update, model_size_limit_bytes
from tests.stage import STATEMENT, TRAINERS, Stage, Update

Running = tuple[Aggregator, AggregatorClient]


@pytest.fixture
async def running(stage: Stage) -> AsyncIterator[Running]:
    async with stage.running(idle_seconds=1, max_uploads=2) as pair:
        yield pair


@pytest.fixture
def client(running: Running) -> AggregatorClient:
    return running[1]


@pytest.fixture
async def task_id(stage: Stage, client: AggregatorClient) -> int:
    return await stage.open_task(client)


@pytest.fixture
def update(stage: Stage, task_id: int) -> Update:
    return stage.update(task_id, 0, stage.trainers[0], stage.draw(1))


def resigned(stage: Stage, update: Update, **changes: object) -> Update:
    """The update with other fields of the header, signed again by its trainer."""
    header = UpdateHeader()
    header.CopyFrom(update.header)
    for field, value in changes.items():
        if field == "point":
            header.point.CopyFrom(value)  # type: ignore[arg-type]
        else:
            setattr(header, field, value)
    point = wire.read_point(header.point)
    header.signature = stage.sign(stage.trainers[0], header.task_id, header.round, point, header.cid)
    return replace(update, header=header)


async def send(client: AggregatorClient, update: Update) -> Receipt:
    return await client.upload_update(update.header, update.data, update.signer)


async def once(client: AggregatorClient, update: Update) -> None:
    """Without trying again what may pass."""
    client._patience_seconds = 0
    try:
        await send(client, update)
    finally:
        client._patience_seconds = 30


async def send_parts(client: AggregatorClient, *parts: UploadUpdateRequest) -> None:
    """Exactly these messages, which the client itself would not send."""

    def messages() -> Iterator[UploadUpdateRequest]:
        yield from parts

    await client._insist(lambda: client._updates.UploadUpdate(messages()))


def header_part(update: Update) -> UploadUpdateRequest:
    header = update.header
    call = update.signer.sign(UPLOAD_UPDATE, header, task_id=header.task_id, round=header.round)
    return UploadUpdateRequest(header=call)


def chunk_part(offset_bytes: int, data: bytes) -> UploadUpdateRequest:
    return UploadUpdateRequest(chunk=Chunk(offset_bytes=offset_bytes, data=data))


async def taken(client: AggregatorClient, update: Update) -> None:
    """The honest update is still welcome: whatever was refused before cost nothing."""
    receipt = await send(client, update)
    assert receipt.cid == update.header.cid


# ---------------------------------------------------------------- what is taken


async def test_receipt_is_the_aggregators_word_over_the_update(
    stage: Stage, client: AggregatorClient, update: Update
) -> None:
    message = await send(client, update)
    receipt = wire.read_receipt(message)
    assert eip712.recover_receipt(stage.market.domain, receipt, message.signature) == stage.operator.address
    assert (receipt.point_x, receipt.point_y) == tuple(update.point)
    assert receipt.cid_digest == eip712.cid_digest(update.header.cid)
    assert receipt.trainer == stage.trainers[0].address


async def test_bytes_are_durable_before_the_receipt(running: Running, update: Update) -> None:
    await send(running[1], update)
    assert running[0].tools.store.get(update.header.cid) == update.data


async def test_an_update_is_held_for_its_task(running: Running, update: Update) -> None:
    """What nobody holds may be removed."""
    await send(running[1], update)
    assert update.header.cid in running[0].tools.store.held(holder_of(update.header.task_id))


async def test_the_same_content_again_gets_the_same_receipt(client: AggregatorClient, update: Update) -> None:
    first = await send(client, update)
    assert await send(client, update) == first


async def test_the_same_content_again_after_the_seal_gets_the_same_receipt(
    stage: Stage, client: AggregatorClient, update: Update
) -> None:
    first = await send(client, update)
    for index in range(1, TRAINERS):
        await send(client, stage.update(update.header.task_id, 0, stage.trainers[index], stage.draw(index + 1)))
    await stage.reached(client, update.header.task_id, 0, 2)
    assert await send(client, update) == first


async def test_status_follows_the_update(stage: Stage, client: AggregatorClient, update: Update) -> None:
    task_id, trainer = update.header.task_id, stage.trainers[0].address
    with pytest.raises(refusals.UnknownUpdate):
        await client.update_status(task_id, 0, trainer)
    receipt = await send(client, update)
    status = await client.update_status(task_id, 0, trainer)
    assert (status.status, status.receipt) == (UpdateStatus.UPDATE_STATUS_RECEIVED, receipt)


async def test_many_at_once_fill_the_round_and_no_more(stage: Stage, running: Running) -> None:
    client = running[1]
    task_id = await stage.open_task(client, joined=8, quorum=6)
    updates = [stage.update(task_id, 0, t, stage.draw(i)) for i, t in enumerate(stage.trainers[:8])]
    results = await asyncio.gather(*(send(client, u) for u in updates), return_exceptions=True)
    accepted = [r for r in results if isinstance(r, Receipt)]
    assert len(accepted) == STATEMENT.slots
    refused = {type(r) for r in results} - {Receipt}
    assert refused <= {refusals.RoundFull, refusals.LateUpdate}


# ------------------------------------------------------------ what is refused


Case = Callable[[Stage, Update], Update]


def other_trainer(stage: Stage, update: Update) -> Update:
    outsider = stage.outsider
    return stage.update(update.header.task_id, 0, outsider, update.column)


HEADERS: dict[str, tuple[Case, type[refusals.Refusal], str]] = {
    "unknown task": (
        lambda stage, u: resigned(stage, u, task_id=u.header.task_id + 1000),
        refusals.UnknownTask,
        "task_id",
    ),
    "not joined": (other_trainer, refusals.NotJoined, "header.signer"),
    "future round": (lambda stage, u: resigned(stage, u, round=1), refusals.RoundNotCollecting, "round"),
    "wrong size": (
        lambda stage, u: resigned(stage, u, size_bytes=u.header.size_bytes + 1),
        refusals.MalformedContent,
        "size_bytes",
    ),
    "wrong dtype": (
        lambda stage, u: resigned(stage, u, dtype=Dtype.DTYPE_INT16),
        refusals.MalformedContent,
        "dtype",
    ),
    "no CID": (lambda stage, u: resigned(stage, u, cid=b"\1" * 36), refusals.InvalidField, "cid"),
    "another CID": (lambda stage, u: resigned(stage, u, cid=cid_of(b"other")), refusals.ContentMismatch, "cid"),
    "another commitment": (
        lambda stage, u: resigned(stage, u, point=wire.point_message(commit(stage.draw(99), stage.srs))),
        refusals.WrongCommitment,
        "point",
    ),
    "genesis point": (
        lambda stage, u: resigned(stage, u, point=wire.point_message(commit(stage.genesis, stage.srs))),
        refusals.PointAlreadyUsed,
        "point",
    ),
    "empty column's point": (
        lambda stage, u: resigned(stage, u, point=wire.point_message(stage.derived().empty_column)),
        refusals.PointAlreadyUsed,
        "point",
    ),
}


@pytest.mark.parametrize("case", HEADERS)
async def test_header_is_refused(case: str, stage: Stage, client: AggregatorClient, update: Update) -> None:
    change, refusal, field = HEADERS[case]
    with pytest.raises(refusal) as caught:
        await send(client, change(stage, update))
    assert caught.value.field == field
    await taken(client, update)


async def test_point_off_the_curve_is_refused(client: AggregatorClient, update: Update) -> None:
    broken = UpdateHeader()
    broken.CopyFrom(update.header)
    broken.point.y = b"\0" * 31 + b"\1"
    with pytest.raises(refusals.InvalidField) as caught:
        await client.upload_update(broken, update.data, update.signer)
    assert caught.value.field == "point"
    broken.point.x = broken.point.y = bytes(32)
    with pytest.raises(refusals.InvalidField, match="infinity"):
        await client.upload_update(broken, update.data, update.signer)


@pytest.mark.parametrize("by", ["another trainer", "over another round", "flipped", "short"])
async def test_signature_is_refused(by: str, stage: Stage, client: AggregatorClient, update: Update) -> None:
    header = UpdateHeader()
    header.CopyFrom(update.header)
    task_id, cid = header.task_id, header.cid
    header.signature = {
        "another trainer": stage.sign(stage.trainers[1], task_id, 0, update.point, cid),
        "over another round": stage.sign(stage.trainers[0], task_id, 1, update.point, cid),
        "flipped": bytes([update.header.signature[0] ^ 1]) + update.header.signature[1:],
        "short": update.header.signature[:64],
    }[by]
    with pytest.raises(refusals.InvalidSignature) as caught:
        await client.upload_update(header, update.data, update.signer)
    assert caught.value.field == "signature"
    await taken(client, update)


@pytest.mark.parametrize("count", [0, 64, 66])
async def test_a_signatures_length_is_looked_at_first(
    count: int, stage: Stage, client: AggregatorClient, update: Update
) -> None:
    """Before the task, and the round that does not collect yet."""
    future = resigned(stage, update, round=1)
    future.header.signature = future.header.signature.ljust(count, b"\0")[:count]
    with pytest.raises(refusals.InvalidSignature, match=f"got {count} bytes") as caught:
        await send_parts(client, header_part(future))
    assert caught.value.field == "signature"


async def test_signature_comes_before_any_byte(client: AggregatorClient, update: Update) -> None:
    """Only a trainer makes the aggregator receive anything."""
    header = UpdateHeader()
    header.CopyFrom(update.header)
    header.signature = bytes(65)
    with pytest.raises(refusals.InvalidSignature):
        await send_parts(client, header_part(replace(update, header=header)))


async def test_second_update_is_refused_and_the_first_stays(
    stage: Stage, client: AggregatorClient, update: Update
) -> None:
    first = await send(client, update)
    other = stage.update(update.header.task_id, 0, stage.trainers[0], stage.draw(2))
    with pytest.raises(refusals.SecondUpdate):
        await send(client, other)
    status = await client.update_status(update.header.task_id, 0, stage.trainers[0].address)
    assert status.receipt == first


async def test_late_update_is_refused(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client, joined=TRAINERS)
    sent = await stage.send(client, task_id, 0)
    await stage.reached(client, task_id, 0, 2)
    await asyncio.to_thread(stage.market.join, stage.trainers[TRAINERS], task_id)
    late = stage.update(task_id, 0, stage.trainers[TRAINERS], stage.draw(77))
    with pytest.raises(refusals.LateUpdate):
        await send(client, late)
    assert len((await client.round(task_id, 0)).slots) == len(sent)


async def test_a_full_round_is_refused_at_the_header(stage: Stage, client: AggregatorClient) -> None:
    """One that waits for its owner's reference stays open when every other place is taken."""
    changes = stage.anchored("aligned", "shapley")
    task_id = await stage.open_task(client, joined=TRAINERS + 1, quorum=TRAINERS, **changes)
    await stage.send(client, task_id, 0)
    late = stage.update(task_id, 0, stage.trainers[TRAINERS], stage.draw(77))
    with pytest.raises(refusals.RoundFull) as caught:
        await send_parts(client, header_part(late))
    assert caught.value.limit == f"{TRAINERS} updates"
    # The reference has a place of its own.
    reference = stage.update(task_id, 0, stage.owner, stage.draw(78))
    await send(client, reference)
    await stage.reached(client, task_id, 0, Step.SEALED)


async def test_a_round_that_fills_up_takes_no_more_bytes(stage: Stage, client: AggregatorClient) -> None:
    """Who is half-way when the last place is taken learns it with the next chunk."""
    task_id = await stage.open_task(
        client, joined=TRAINERS + 1, quorum=TRAINERS, **stage.anchored("aligned", "shapley")
    )
    late, goes_on = stage.update(task_id, 0, stage.trainers[TRAINERS], stage.draw(77)), asyncio.Event()

    async def messages() -> AsyncIterator[UploadUpdateRequest]:
        yield header_part(late)
        yield chunk_part(0, late.data[:10])
        await goes_on.wait()
        yield chunk_part(10, late.data[10:20])
        await asyncio.sleep(60)

    upload = asyncio.ensure_future(client._insist(lambda: client._updates.UploadUpdate(messages())))
    key = (task_id, 0, stage.trainers[TRAINERS].address, late.header.cid)
    while await client.upload_status(*key) < 10:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await stage.send(client, task_id, 0)
    goes_on.set()
    with pytest.raises(refusals.RoundFull):
        await upload


async def test_anothers_commitment_is_refused(stage: Stage, client: AggregatorClient, update: Update) -> None:
    await send(client, update)
    copied = stage.update(update.header.task_id, 0, stage.trainers[1], update.column)
    with pytest.raises(refusals.PointAlreadyUsed):
        await send(client, copied)


async def test_own_commitment_of_an_earlier_round_is_refused(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client)
    sent = await stage.send(client, task_id, 0)
    await stage.reached(client, task_id, 1, 1)
    with pytest.raises(refusals.InvalidField, match="modulo 2"):
        await send(client, stage.update(task_id, 1, stage.trainers[0], sent[0].column))


async def test_entries_out_of_range_are_refused(stage: Stage, client: AggregatorClient, update: Update) -> None:
    """4-bit entries travel as bytes, so a byte of 8 is well-formed and still no entry."""
    for index in (0, STATEMENT.dim - 1):
        data = bytearray(encode_update(update.column, STATEMENT.fmt))
        data[len(data) - STATEMENT.dim + index] = STATEMENT.fmt.highest + 1
        with pytest.raises(refusals.OutOfRange) as caught:
            await send(
                client, stage.update(update.header.task_id, 0, stage.trainers[0], update.column, data=bytes(data))
            )
        assert caught.value.field == f"values[{index}]"
    await taken(client, update)


async def test_an_update_of_few_digits_is_an_update(stage: Stage, client: AggregatorClient) -> None:
    """A base-4 digit that is 0 on every row must not keep the whole round from its proof."""
    statement = replace(STATEMENT, fmt=FixedPoint(bits=8, fraction_bits=STATEMENT.fmt.fraction_bits))
    derived = stage.derived(statement)
    task_id = await stage.open_task(
        client, rounds=1, bits=8, update_key=derived.update_key.digest, empty_column=derived.empty_column
    )
    # Base-4 digits 1 and 2 of entry + 128 are 0, or digit 2 alone.
    for trainer, entries in zip(stage.trainers, ((0, 1, 2, 3), (0, 1, 2, 3, 4, 5)), strict=False):
        salts = np.random.default_rng().choice(np.array(entries), SALT_ROWS)
        column = Column(values=np.zeros(STATEMENT.dim, dtype=np.int64), salts=salts)
        await send(client, stage.update(task_id, 0, trainer, column))
    for trainer in stage.trainers[2:TRAINERS]:
        await send(client, stage.update(task_id, 0, trainer, stage.draw(int(trainer.address, 16) % 1000, rounds=1)))
    await stage.reached(client, task_id, 0, Step.PUBLISHED)


async def test_another_dim_is_refused(stage: Stage, client: AggregatorClient, update: Update) -> None:
    """One value more and one salt less: the size fits, the header does not."""
    data = encode_update(update.column, STATEMENT.fmt)
    swapped = data.replace(b'"shape":[512]', b'"shape":[511]').replace(b'"shape":[20]', b'"shape":[21]')
    assert len(swapped) == len(data)
    assert swapped != data
    with pytest.raises(refusals.MalformedContent) as caught:
        await send(client, stage.update(update.header.task_id, 0, stage.trainers[0], update.column, data=swapped))
    assert caught.value.field == "header"
    await taken(client, update)


async def test_chunks_must_come_in_order_and_fit(client: AggregatorClient, update: Update) -> None:
    half = len(update.data) // 2
    cases = {
        "gap": (chunk_part(1, update.data[1:]),),
        "again": (chunk_part(0, update.data[:half]), chunk_part(0, update.data[:half])),
        "swapped": (chunk_part(half, update.data[half:]), chunk_part(0, update.data[:half])),
        "beyond": (chunk_part(0, update.data + b"x"),),
        "beyond at the end": (chunk_part(0, update.data), chunk_part(len(update.data), b"x")),
        "empty": (chunk_part(0, b""),),
        "too long": (chunk_part(0, bytes(wire.CHUNK_BYTES + 1)),),
    }
    for parts in cases.values():
        with pytest.raises(refusals.InvalidChunk):
            await send_parts(client, header_part(update), *parts)
    await send_parts(
        client, header_part(update), chunk_part(0, update.data[:half]), chunk_part(half, update.data[half:])
    )


async def test_truncated_upload_is_refused(client: AggregatorClient, update: Update) -> None:
    with pytest.raises(refusals.TruncatedUpload):
        await send_parts(client, header_part(update), chunk_part(0, update.data[:-1]))
    with pytest.raises(refusals.TruncatedUpload):
        await send_parts(client, header_part(update))
    await taken(client, update)


async def test_refused_bytes_are_not_kept(stage: Stage, client: AggregatorClient, update: Update) -> None:
    """Another attempt would find the same."""
    task_id, trainer = update.header.task_id, stage.trainers[0]
    other = encode_update(stage.draw(99), STATEMENT.fmt)
    wrong = stage.update(task_id, 0, trainer, update.column, data=other)
    with pytest.raises(refusals.WrongCommitment):
        await send(client, wrong)
    assert await client.upload_status(task_id, 0, trainer.address, wrong.header.cid) == 0


async def test_bytes_of_another_cid_are_not_kept(stage: Stage, client: AggregatorClient, update: Update) -> None:
    """Nor are they checked: it is the content's last byte that differs."""
    changed = update.data[:-1] + bytes([update.data[-1] ^ 1])
    with pytest.raises(refusals.ContentMismatch) as caught:
        await send_parts(client, header_part(update), chunk_part(0, changed))
    assert caught.value.field == "cid"
    assert await client.upload_status(update.header.task_id, 0, update.trainer, update.header.cid) == 0
    await taken(client, update)


async def test_idle_upload_is_ended(client: AggregatorClient, update: Update) -> None:
    async def messages() -> AsyncIterator[UploadUpdateRequest]:
        yield header_part(update)
        await asyncio.sleep(60)

    with pytest.raises(refusals.TruncatedUpload, match="nothing came"):
        await client._insist(lambda: client._updates.UploadUpdate(messages()))
    await taken(client, update)


async def test_header_comes_first_and_once(client: AggregatorClient, update: Update) -> None:
    header, chunk = header_part(update), chunk_part(0, update.data)
    for parts, field in (((), "header"), ((chunk,), "header"), ((header, header), "part")):
        with pytest.raises(refusals.InvalidField) as caught:
            await send_parts(client, *parts)
        assert caught.value.field == field
    await taken(client, update)


async def test_message_over_the_transports_limit_is_refused(client: AggregatorClient, update: Update) -> None:
    with pytest.raises(AggregatorUnreachable, match="RESOURCE_EXHAUSTED"):
        await send_parts(client, header_part(update), chunk_part(0, bytes(wire.MAX_MESSAGE_BYTES)))


async def test_more_uploads_than_the_limit_are_refused(stage: Stage, client: AggregatorClient, update: Update) -> None:
    """Two places: one trainer cannot have both, and a third trainer has to wait."""

    async def slow(of: Update) -> AsyncIterator[UploadUpdateRequest]:
        yield header_part(of)
        await asyncio.sleep(60)

    def hold(of: Update) -> "asyncio.Future[object]":
        return asyncio.ensure_future(client._updates.UploadUpdate(slow(of)))

    others = [stage.update(update.header.task_id, 0, stage.trainers[i], stage.draw(i + 1)) for i in (1, 2)]
    held = [hold(update)]
    await asyncio.sleep(0.3)
    with pytest.raises(refusals.TooManyUploads, match="under way"):
        await once(client, update)
    held.append(hold(others[0]))
    await asyncio.sleep(0.3)
    with pytest.raises(refusals.TooManyUploads, match="2 are"):
        await once(client, others[1])
    for call in held:
        call.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    for welcome in (update, *others):
        await taken(client, welcome)


async def test_who_waits_for_a_check_takes_no_place(stage: Stage, running: Running, update: Update) -> None:
    """Of two places, which are of those that send."""
    aggregator, client = running
    assert aggregator.server is not None
    others = [stage.update(update.header.task_id, 0, stage.trainers[i], stage.draw(i + 1)) for i in (1, 2)]
    async with aggregator.server.intake.checks.turn:
        uploads = []
        for of in (update, *others):
            parts = (header_part(of), chunk_part(0, of.data))
            uploads.append(asyncio.ensure_future(send_parts(client, *parts)))
            async with asyncio.timeout(20):
                key = (of.header.task_id, 0, of.trainer, of.header.cid)
                while await client.upload_status(*key) < len(of.data):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    await asyncio.gather(*uploads)


async def test_strangers_take_no_place(stage: Stage, client: AggregatorClient, update: Update) -> None:
    async def slow() -> AsyncIterator[UploadUpdateRequest]:
        await asyncio.sleep(60)
        yield header_part(update)

    held = [asyncio.ensure_future(client._updates.UploadUpdate(slow())) for _ in range(5)]
    await asyncio.sleep(0.2)
    await taken(client, update)
    for call in held:
        call.cancel()
    await asyncio.gather(*held, return_exceptions=True)


# ---------------------------------------------------------------- signed calls


async def test_a_call_is_its_signers(running: Running, update: Update) -> None:
    """Else a stranger with a trainer's signed update could use up its nonces, and its place."""
    aggregator, client = running
    part = header_part(update)
    part.header.nonce = bytes([part.header.nonce[0] ^ 1]) + part.header.nonce[1:]
    with pytest.raises(refusals.InvalidSignature) as caught:
        await send_parts(client, part, chunk_part(0, update.data))
    assert caught.value.field == "header.signature"
    with aggregator.tools.state._database.reading() as session:
        assert part.header.nonce not in session.scalars(select(NonceRow.nonce)).all()
    await taken(client, update)


async def test_what_is_there_needs_no_bytes(client: AggregatorClient, update: Update) -> None:
    await taken(client, update)
    await send_parts(client, header_part(update))


async def test_a_recorded_upload_is_worth_nothing(client: AggregatorClient, update: Update) -> None:
    """Nor is it to its own trainer, who signs anew and gets the receipt."""
    recorded = header_part(update)
    await send_parts(client, recorded, chunk_part(0, update.data))
    with pytest.raises(refusals.ReplayedCall):
        await send_parts(client, recorded, chunk_part(0, update.data))
    await taken(client, update)


async def test_a_restart_does_not_forget_what_was_taken(stage: Stage) -> None:
    async with stage.running() as (_, client):
        update = stage.update(await stage.open_task(client), 0, stage.trainers[0], stage.draw(1))
        recorded = header_part(update)
        await send_parts(client, recorded, chunk_part(0, update.data))
    async with stage.running() as (_, client):
        with pytest.raises(refusals.ReplayedCall):
            await send_parts(client, recorded, chunk_part(0, update.data))


async def test_a_refused_strangers_nonce_is_not_kept(running: Running, stage: Stage, update: Update) -> None:
    """Else strangers would fill the disk."""
    with pytest.raises(refusals.NotJoined):
        await send(running[1], other_trainer(stage, update))
    with running[0].tools.state._database.reading() as session:
        assert stage.outsider.address not in session.scalars(select(NonceRow.signer)).all()


@pytest.mark.parametrize("off_seconds", [-5000, 5000])
async def test_a_clock_that_is_wrong_is_corrected(off_seconds: int, client: AggregatorClient, update: Update) -> None:
    update.signer._ahead_seconds = off_seconds
    with pytest.raises(refusals.ClockSkew):
        await send_parts(client, header_part(update))
    await taken(client, update)
    assert abs(update.signer._ahead_seconds) <= 1


async def test_only_the_owner_brings_the_genesis_model(stage: Stage, running: Running) -> None:
    aggregator, client = running
    task_id = await stage.create_task()
    with pytest.raises(refusals.NotOwner) as caught:
        await client.upload_genesis(task_id, stage.genesis_data, CallSigner(stage.outsider, stage.market.domain))
    assert caught.value.limit == stage.owner.address
    assert aggregator.tools.state.model(task_id, 0) is None
    with aggregator.tools.state._database.reading() as session:
        assert stage.outsider.address not in session.scalars(select(NonceRow.signer)).all()


async def test_a_genesis_upload_is_taken_once(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.create_task()
    header = GenesisHeader(task_id=task_id, size_bytes=len(stage.genesis_data))
    call = stage.owner_signer.sign(UPLOAD_GENESIS, header, task_id=task_id)
    parts = [UploadGenesisRequest(header=call), UploadGenesisRequest(chunk=Chunk(data=stage.genesis_data))]
    with pytest.raises(refusals.InvalidSignature):
        other = stage.owner_signer.sign(UPLOAD_GENESIS, header, task_id=task_id + 1)
        await client._insist(lambda: client._models.UploadGenesis(iter([UploadGenesisRequest(header=other)])))
    await client._insist(lambda: client._models.UploadGenesis(iter(parts)))
    with pytest.raises(refusals.ReplayedCall):
        await client._insist(lambda: client._models.UploadGenesis(iter(parts)))


def genesis_parts(stage: Stage, task_id: int, *chunks: Chunk) -> list[UploadGenesisRequest]:
    header = GenesisHeader(task_id=task_id, size_bytes=len(stage.genesis_data))
    call = stage.owner_signer.sign(UPLOAD_GENESIS, header, task_id=task_id)
    return [UploadGenesisRequest(header=call), *(UploadGenesisRequest(chunk=chunk) for chunk in chunks)]


async def send_genesis(stage: Stage, client: AggregatorClient, task_id: int, *chunks: Chunk) -> None:
    """Exactly these chunks."""
    await client._insist(lambda: client._models.UploadGenesis(iter(genesis_parts(stage, task_id, *chunks))))


async def genesis_bytes(client: AggregatorClient, task_id: int) -> int:
    return (await client._models.GetGenesisStatus(GetGenesisStatusRequest(task_id=task_id))).received_bytes


def uploaded_bytes(aggregator: Aggregator) -> float:
    return aggregator.tools.telemetry.metrics.upload_bytes._value.get()


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_genesis_upload_goes_on_where_it_stopped(restarted: bool, stage: Stage) -> None:
    half, whole = len(stage.genesis_data) // 2, len(stage.genesis_data)
    async with AsyncExitStack() as stack:
        aggregator, client = await stack.enter_async_context(stage.running())
        task_id = await stage.create_task()
        assert await genesis_bytes(client, task_id) == 0
        with pytest.raises(refusals.TruncatedUpload):
            await send_genesis(stage, client, task_id, Chunk(data=stage.genesis_data[:half]))
        if restarted:
            await stack.aclose()
            aggregator, client = await stack.enter_async_context(stage.running())
        assert await genesis_bytes(client, task_id) == half
        with pytest.raises(refusals.InvalidChunk, match=f"{half} bytes are there"):
            chunk = Chunk(offset_bytes=half + 1, data=stage.genesis_data[half + 1 :])
            await send_genesis(stage, client, task_id, chunk)
        before = uploaded_bytes(aggregator)
        info = await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        assert uploaded_bytes(aggregator) - before == whole - half
        assert (info.cid, info.size_bytes) == (cid_of(stage.genesis_data), whole)
        assert aggregator.tools.store.get(info.cid) == stage.genesis_data
        assert await genesis_bytes(client, task_id) == 0
        await stage.reached(client, task_id, 0, 1)


async def test_a_damaged_part_of_a_genesis_model_costs_another_attempt(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.create_task()
    with pytest.raises(refusals.TruncatedUpload):
        await send_genesis(stage, client, task_id, Chunk(data=b"x" * 100))
    info = await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    assert info.cid == cid_of(stage.genesis_data)


async def test_another_genesis_model_leaves_nothing(stage: Stage, running: Running) -> None:
    aggregator, client = running
    task_id = await stage.create_task()
    with pytest.raises(refusals.MalformedContent):
        await send_genesis(stage, client, task_id, Chunk(data=bytes(len(stage.genesis_data))))
    assert await genesis_bytes(client, task_id) == 0
    assert aggregator.tools.state.model(task_id, 0) is None


async def test_a_genesis_model_that_is_there_needs_no_bytes(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.create_task()
    await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
    await send_genesis(stage, client, task_id)


@pytest.mark.parametrize("size_bytes", [0, model_size_limit_bytes(STATEMENT.dim) + 1])
async def test_a_size_that_no_genesis_model_has_is_refused(
    size_bytes: int, stage: Stage, client: AggregatorClient
) -> None:
    task_id = await stage.create_task()
    header = GenesisHeader(task_id=task_id, size_bytes=size_bytes)
    parts = [UploadGenesisRequest(header=stage.owner_signer.sign(UPLOAD_GENESIS, header, task_id=task_id))]
    with pytest.raises(refusals.InvalidField) as caught:
        await client._insist(lambda: client._models.UploadGenesis(iter(parts)))
    assert caught.value.field == "size_bytes"


async def test_a_genesis_upload_begins_with_its_header(stage: Stage, client: AggregatorClient) -> None:
    for parts in ([], [UploadGenesisRequest(chunk=Chunk(data=stage.genesis_data))]):
        with pytest.raises(refusals.InvalidField) as caught:
            await client._insist(lambda sent=parts: client._models.UploadGenesis(iter(sent)))  # type: ignore[misc]
        assert caught.value.field == "header"


async def test_a_task_has_one_genesis_upload_under_way(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.create_task()

    async def slow() -> AsyncIterator[UploadGenesisRequest]:
        for part in genesis_parts(stage, task_id, Chunk(data=stage.genesis_data[:10])):
            yield part
        await asyncio.sleep(60)

    held = asyncio.ensure_future(client._models.UploadGenesis(slow()))
    while await genesis_bytes(client, task_id) < 10:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    client._patience_seconds = 0
    with pytest.raises(refusals.TooManyUploads):
        await send_genesis(stage, client, task_id, Chunk(data=stage.genesis_data))
    assert await genesis_bytes(client, task_id) == 10
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    client._patience_seconds = 30
    await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)


async def test_parts_of_genesis_models_are_swept_once_they_are_of_no_use(stage: Stage, running: Running) -> None:
    aggregator, client = running
    assert aggregator.server is not None
    genesis, kept = aggregator.server.genesis, []
    for _ in range(2):
        task_id = await stage.create_task()
        with pytest.raises(refusals.TruncatedUpload):
            await send_genesis(stage, client, task_id, Chunk(data=stage.genesis_data[:10]))
        kept.append(task_id)
    assert genesis.partials.sweep(genesis.is_awaited) == 0
    path = genesis.partials._path(_key_of(aggregator.registry.tasks[kept[0]]))
    await client.upload_genesis(kept[0], stage.genesis_data, stage.owner_signer)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left behind by a crash")
    assert genesis.partials.sweep(genesis.is_awaited) == 1
    assert await genesis_bytes(client, kept[1]) == 10


# ------------------------------------------------------------- when things fail


async def test_chain_down_is_said_and_loses_nothing(
    stage: Stage, running: Running, update: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregator, client = running

    def down(*_: object) -> bool:
        raise ChainUnavailable("eth_call", "rpc", "ConnectionError")

    with monkeypatch.context() as patch:
        patch.setattr(aggregator.tools.market, "has_joined", down)
        with pytest.raises(refusals.ChainDown):  # nobody has heard of this one yet, so the chain is asked
            await once(client, other_trainer(stage, update))
    await taken(client, update)


async def test_full_disk_is_said_and_keeps_nothing(
    running: Running, update: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregator, client = running

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("store.local.os.fsync", full)
        with pytest.raises(refusals.DiskFull):
            await send(client, update)
    assert not aggregator.tools.store.has(update.header.cid)
    assert aggregator.tools.store.remove_drafts() == 0
    key = (update.header.task_id, 0, update.trainer, update.header.cid)
    assert await client.upload_status(*key) == 0
    await taken(client, update)


async def test_full_disk_keeps_nothing_of_a_genesis_model(
    stage: Stage, client: AggregatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await stage.create_task()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("store.local.os.fsync", full)
        with pytest.raises(refusals.DiskFull):
            await send_genesis(stage, client, task_id, Chunk(data=stage.genesis_data))
    assert await genesis_bytes(client, task_id) == 0
    await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)


async def test_draining_service_refuses_uploads(running: Running, update: Update) -> None:
    aggregator, client = running
    client._patience_seconds = 0
    aggregator.stop()
    with pytest.raises((refusals.Draining, AggregatorUnreachable)):
        await send(client, update)


async def test_draining_takes_nothing_from_calls_that_are_through(running: Running) -> None:
    """A call may have come before the server stops to listen, and its first message after."""
    aggregator, _ = running
    assert aggregator.server is not None
    aggregator.tools.draining.set()

    async def nothing() -> AsyncIterator[Any]:
        raise AssertionError("nothing is read")
        yield

    for intake in (aggregator.server.intake, aggregator.server.genesis):
        with pytest.raises(refusals.Draining):
            await intake.upload(nothing(), "ipv4:127.0.0.1")


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (ChainBehind("block 9"), refusals.ChainDown),
        (StateUnavailable("no answer"), refusals.StateDown),
        (StateTakenOver("another process"), refusals.StateDown),
    ],
)
async def test_what_is_down_is_said(
    error: Exception, refusal: type[refusals.Refusal], running: Running, update: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregator, client = running

    def down(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(aggregator.tools.state, "admit", down)
        with pytest.raises(refusal):
            await once(client, update)
    await taken(client, update)


async def test_a_bug_is_not_shown_to_callers(running: Running, update: Update, monkeypatch: pytest.MonkeyPatch) -> None:
    aggregator, client = running

    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    with monkeypatch.context() as patch:
        patch.setattr(aggregator.tools.state, "admit", broken)
        with pytest.raises(refusals.InternalError) as caught:
            await send(client, update)
    assert "secret" not in str(caught.value)
    await taken(client, update)


async def test_update_of_another_dim_than_the_tasks_has_another_size(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client)
    values = np.zeros(STATEMENT.dim + 1, dtype=np.int64)
    column, _ = draw_for_round(values, STATEMENT.fmt, stage.srs, round=0, rounds=2)
    with pytest.raises(refusals.MalformedContent) as caught:
        data = encode_update(column, STATEMENT.fmt)
        await send(client, stage.update(task_id, 0, stage.trainers[0], column, data=data))
    assert caught.value.field == "size_bytes"
