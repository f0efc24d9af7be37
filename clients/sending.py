"""A signed update on its way to the aggregator, and the receipt that must come back: a trainer's, or an owner's."""

import grpc
from eth_account.signers.local import LocalAccount
from merit.v1.types_pb2 import Receipt
from merit.v1.updates_pb2 import Dtype, UpdateHeader

from circuits.bn254 import G1Point
from circuits.fixedpoint import FixedPoint
from clients.errors import AggregatorUnreachable, InvalidReceipt
from clients.service import AggregatorClient
from contracts.bindings import Market, TaskView, eip712
from protocol import wire
from protocol.calls import CallSigner
from protocol.refusals import LateUpdate, Refusal, RoundFull, RoundNotCollecting, SecondUpdate
from protocol.sealing import LEAST_RETENTION_SECONDS
from store.cid import cid_of
from store.keywrap import Receiver
from store.objects import update_dtype

_DTYPES = {"I8": Dtype.DTYPE_INT8, "I16": Dtype.DTYPE_INT16}

MISSED = (LateUpdate, RoundFull, RoundNotCollecting, SecondUpdate)
"""Refusals that cost one round only."""
_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DATA_LOSS}


def may_pass(error: Exception) -> bool:
    """Whether the same call is worth another attempt; what `MISSED` holds is not."""
    if isinstance(error, MISSED):
        return False
    return isinstance(error, AggregatorUnreachable) or (isinstance(error, Refusal) and error.status in _PASSING)


async def receiver_of(aggregator: AggregatorClient, view: TaskView) -> Receiver:
    """Whom a task's updates are sealed for.

    Raises:
        InvalidPublicKey: the aggregator hands out a key that is not that of the task's aggregator.
        Refusal, AggregatorUnreachable.
    """
    task = await aggregator.task(view.task_id)
    return Receiver(task.aggregator_key).require_address(view.config.aggregator)


async def send_update(
    *,
    market: Market,
    aggregator: AggregatorClient,
    account: LocalAccount,
    signer: CallSigner,
    view: TaskView,
    round: int,
    point: G1Point,
    data: bytes,
) -> Receipt:
    """Signs an update and sends it; returns the receipt, checked.

    Args:
        signer: signs the call. view: of the task.
        point: commitment to the update. data: the update object's bytes, sealed.
    Raises:
        InvalidReceipt: it is not over this update, or not signed by the task's aggregator.
        Refusal, AggregatorUnreachable: the aggregator has not taken the update.
    """
    config, cid = view.config, cid_of(data)
    commitment = commitment_of(view.task_id, round, point, data)
    header = UpdateHeader(
        task_id=view.task_id,
        round=round,
        cid=cid,
        size_bytes=len(data),
        dtype=_DTYPES[update_dtype(FixedPoint(bits=config.bits, fraction_bits=config.fractional_bits))],
        point=wire.point_message(point),
        signature=eip712.sign_update(account, market.domain, commitment),
    )
    receipt = await aggregator.upload_update(header, data, signer)
    check_receipt(receipt, commitment, market=market, sender=account.address, aggregator=config.aggregator)
    return receipt


def commitment_of(task_id: int, round: int, point: G1Point, data: bytes) -> eip712.UpdateCommitment:
    """What is signed of an update."""
    digest = eip712.cid_digest(cid_of(data))
    return eip712.UpdateCommitment(task_id=task_id, round=round, point_x=point.x, point_y=point.y, cid_digest=digest)


def check_receipt(
    message: Receipt, sent: eip712.UpdateCommitment, *, market: Market, sender: str, aggregator: str
) -> None:
    """InvalidReceipt, naming the field, unless the receipt is over what was sent, and signed by the aggregator.

    It must promise to keep the update for a day at least: others may want to check what was made of it.
    """
    receipt = wire.read_receipt(message)
    for field in ("task_id", "round", "point_x", "point_y", "cid_digest"):
        if getattr(receipt, field) != getattr(sent, field):
            raise InvalidReceipt(field, getattr(receipt, field), getattr(sent, field))
    kept_seconds = receipt.stored_until_seconds - receipt.received_at_seconds
    if kept_seconds < LEAST_RETENTION_SECONDS:
        raise InvalidReceipt("stored_until_seconds", f"{kept_seconds} seconds", f"{LEAST_RETENTION_SECONDS} or more")
    if receipt.trainer != sender:
        raise InvalidReceipt("trainer", receipt.trainer, sender)
    try:
        signer = eip712.recover_receipt(market.domain, receipt, message.signature)
    except ValueError as error:
        raise InvalidReceipt("signature", str(error), f"{aggregator}'s") from error
    if signer != aggregator:
        raise InvalidReceipt("signature", f"{signer}'s", f"{aggregator}'s")
