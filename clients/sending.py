"""A signed update on its way to the aggregator, and the receipt that must come back: a trainer's, or an owner's."""

import asyncio

from eth_account.signers.local import LocalAccount
from merit.v1.types_pb2 import Receipt
from merit.v1.updates_pb2 import Dtype, UpdateHeader

from circuits.bn254 import G1Point
from circuits.fixedpoint import FixedPoint
from clients.errors import InvalidReceipt
from clients.service import AggregatorClient
from contracts.bindings import Market, TaskView, eip712
from protocol import wire
from protocol.calls import CallSigner
from protocol.refusals import ChainDown, Draining, LateUpdate, RoundFull, RoundNotCollecting, SecondUpdate
from protocol.sealing import seal_update, update_context
from store.cid import cid_of
from store.keywrap import Receiver
from store.objects import update_dtype

_DTYPES = {"I8": Dtype.DTYPE_INT8, "I16": Dtype.DTYPE_INT16}

MISSED = (LateUpdate, RoundFull, RoundNotCollecting, SecondUpdate)
"""Refusals that cost one round only."""
PASSING = (Draining, ChainDown)
"""Refusals after which the same update is worth another attempt."""


async def sealed(
    data: bytes, *, market: Market, aggregator: AggregatorClient, view: TaskView, round: int, sender: str
) -> bytes:
    """An update object's bytes, sealed for the task's aggregator alone. Under a fresh key, so each time others.

    Raises:
        InvalidPublicKey: the aggregator hands out a key that is not that of the task's aggregator.
        Refusal, AggregatorUnreachable.
    """
    key = (await aggregator.task(view.task_id)).aggregator_key
    receiver = Receiver(key).require_address(view.config.aggregator)
    context = update_context(market.domain, view.task_id, round, sender)
    return await asyncio.to_thread(seal_update, data, receiver, context)


async def send_update(
    *,
    market: Market,
    aggregator: AggregatorClient,
    account: LocalAccount,
    view: TaskView,
    round: int,
    point: G1Point,
    data: bytes,
) -> Receipt:
    """Signs an update and sends it; returns the receipt, checked.

    Args:
        view: of the task.
        point: commitment to the update. data: the update object's bytes, sealed.
    Raises:
        InvalidReceipt: it is not over this update, or not signed by the task's aggregator.
        Refusal, AggregatorUnreachable: the aggregator has not taken the update.
    """
    config, cid = view.config, cid_of(data)
    commitment = eip712.UpdateCommitment(
        task_id=view.task_id, round=round, point_x=point.x, point_y=point.y, cid_digest=eip712.cid_digest(cid)
    )
    header = UpdateHeader(
        task_id=view.task_id,
        round=round,
        cid=cid,
        size_bytes=len(data),
        dtype=_DTYPES[update_dtype(FixedPoint(bits=config.bits, fraction_bits=config.fractional_bits))],
        point=wire.point_message(point),
        signature=eip712.sign_update(account, market.domain, commitment),
    )
    receipt = await aggregator.upload_update(header, data, CallSigner(account, market.domain))
    check_receipt(receipt, commitment, market=market, sender=account.address, aggregator=config.aggregator)
    return receipt


def check_receipt(
    message: Receipt, sent: eip712.UpdateCommitment, *, market: Market, sender: str, aggregator: str
) -> None:
    """InvalidReceipt, naming the field, unless the receipt is over what was sent, and signed by the aggregator."""
    receipt = wire.read_receipt(message)
    for field in ("task_id", "round", "point_x", "point_y", "cid_digest"):
        if getattr(receipt, field) != getattr(sent, field):
            raise InvalidReceipt(field, getattr(receipt, field), getattr(sent, field))
    if receipt.trainer != sender:
        raise InvalidReceipt("trainer", receipt.trainer, sender)
    try:
        signer = eip712.recover_receipt(market.domain, receipt, message.signature)
    except ValueError as error:
        raise InvalidReceipt("signature", str(error), f"{aggregator}'s") from error
    if signer != aggregator:
        raise InvalidReceipt("signature", f"{signer}'s", f"{aggregator}'s")
