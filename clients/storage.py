"""Every object of a task, as the chain names it: read whole, compared, opened, and made good from peers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount

from circuits.bn254 import G1Point
from circuits.commitment import Column, check_opening
from circuits.errors import CommitmentMismatch, FieldError
from circuits.fixedpoint import FixedPoint
from circuits.srs import Srs
from contracts.bindings import NOBODY, Market, RoundState, RoundView, TaskConfig, TaskView
from protocol import last_model
from protocol.last_model import KeyNotShared
from protocol.sealing import update_context
from store.cid import to_text
from store.errors import InvalidCid, MalformedObject, NotAReceiver, SealError
from store.interface import Store
from store.objects import decode_model, decode_update
from store.replicas import Condition, look_after
from store.sealed import unseal

Open = Callable[[bytes], Column | None]
"""An object's bytes -> what they hold; None where they are sealed for somebody else."""


@dataclass(frozen=True, kw_only=True)
class TaskObject:
    """An object that the chain names.

    Attributes:
        what: for people: "round 1: update of 0x...".
        point: the commitment that its content opens; None where the CID says all there is to say.
        opened: how to get at the content.
    """

    what: str
    cid: bytes
    point: G1Point | None
    opened: Open


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Attributes:
    condition, repaired: see `store.replicas.Finding`.
    opened: whether the content was compared with the chain's commitment, not only with the CID.
    reason: why the object is not what it should be, or "".
    """

    what: str
    cid: str
    condition: Condition
    repaired: bool
    opened: bool
    reason: str


def objects_of(market: Market, task_id: int, account: LocalAccount | None = None) -> Iterator[TaskObject]:
    """The genesis model, the updates of every committed round, and every published model.

    Args:
        account: the aggregator's, to open updates with, or the owner's, for a last model that is sealed.
    """
    view = market.task(task_id)
    config, sealed_version = view.config, last_model.sealed_version(market, view)

    def model(data: bytes) -> Column:
        return decode_model(data, config.dim)

    yield TaskObject(what="genesis model", cid=config.genesis_cid, point=G1Point(*config.genesis), opened=model)
    for number in range(view.current_round + 1):
        round, name = market.round(task_id, number), f"round {number + 1}"
        for trainer, point, cid in zip(round.trainers, round.points, round.cids, strict=True):
            if trainer == NOBODY:
                yield TaskObject(what=f"{name}: previous sum", cid=cid, point=G1Point(*point), opened=model)
                continue
            opened = _opener(market, config, round, trainer, account)
            yield TaskObject(what=f"{name}: update of {trainer}", cid=cid, point=G1Point(*point), opened=opened)
        if round.state == RoundState.SETTLED and round.model is not None and round.model_cid is not None:
            sealed = number + 1 == sealed_version
            yield TaskObject(
                what=f"{name}: model" + ", sealed" * sealed,
                cid=round.model_cid,
                point=G1Point(*round.model),
                opened=_last_opener(market, view, account) if sealed else model,
            )


def verify_storage(
    objects: Iterable[TaskObject], srs: Srs, store: Store, *, holder: str, peers: Sequence[Store] = ()
) -> Iterator[Checked]:
    """Checks each object, and makes good what is missing or damaged.

    Raises:
        StoreUnavailable, StorageFull: of the store itself.
    """
    for each in objects:
        try:
            [finding] = look_after(store, [each.cid], holder=holder, peers=peers)
        except InvalidCid as error:
            # The chain takes any bytes for a CID.
            yield _checked(each, Condition.MISSING, reason=str(error), cid=each.cid.hex())
            continue
        opened, reason = False, finding.reason
        if finding.is_whole:
            opened, reason = _compared(each, store.get(each.cid), srs)
        yield _checked(each, finding.condition, repaired=finding.repaired, opened=opened, reason=reason)


def _compared(each: TaskObject, data: bytes, srs: Srs) -> tuple[bool, str]:
    """Whether the content was compared with its commitment, and what is wrong with it."""
    if each.point is None:
        return True, ""
    try:
        column = each.opened(data)
        if column is None:
            return False, ""
        check_opening(column, each.point, srs)
    except (KeyNotShared, SealError, MalformedObject, FieldError) as error:
        return False, f"the bytes are no such object: {error}"
    except CommitmentMismatch:
        return True, "the content does not open the chain's commitment"
    return True, ""


def _opener(market: Market, config: TaskConfig, round: RoundView, trainer: str, account: LocalAccount | None) -> Open:
    fmt = FixedPoint(bits=config.bits, fraction_bits=config.fractional_bits)
    context = update_context(market.domain, round.task_id, round.round, trainer)

    def opened(data: bytes) -> Column | None:
        if account is None:
            return None
        try:
            return decode_update(unseal(data, account, context=context), config.dim, fmt)
        except NotAReceiver:
            return None

    return opened


def _last_opener(market: Market, view: TaskView, account: LocalAccount | None) -> Open:
    def opened(data: bytes) -> Column | None:
        if account is None or account.address != view.owner:
            return None
        return decode_model(last_model.open_sealed(data, market, view, account)[0], view.config.dim)

    return opened


def _checked(
    each: TaskObject,
    condition: Condition,
    *,
    repaired: bool = False,
    opened: bool = False,
    reason: str = "",
    cid: str | None = None,
) -> Checked:
    return Checked(
        what=each.what,
        cid=cid or to_text(each.cid),
        condition=condition,
        repaired=repaired,
        opened=opened,
        reason=reason,
    )
