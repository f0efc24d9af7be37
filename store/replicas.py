"""Looking after objects: each is read, checked, and made good from peers where it is missing or damaged."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from store.cid import to_text
from store.errors import CorruptContent, NotFound, StoreError
from store.interface import Store


class Condition(Enum):
    """What was found under a CID."""

    WHOLE = "whole"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Attributes:
    condition: before anything was done.
    repaired: whether the object is whole now, although it was not.
    reason: why it is not, if it is not: one line.
    """

    cid: bytes
    condition: Condition
    repaired: bool = False
    reason: str = ""

    @property
    def is_whole(self) -> bool:
        return self.condition is Condition.WHOLE or self.repaired


def look_after(store: Store, cids: Iterable[bytes], *, holder: str, peers: Sequence[Store] = ()) -> Iterator[Finding]:
    """Reads every object whole; what is not right is taken from the first peer that has it, and held again.

    Peers are believed in nothing: what they give is checked like what is read here.

    Raises:
        StoreUnavailable, StorageFull: of the store itself; a peer's failure is its finding's reason.
    """
    for cid in cids:
        condition = _condition(store, cid)
        if condition is Condition.WHOLE:
            yield Finding(cid=cid, condition=condition)
            continue
        data, reason = _from_peers(cid, peers)
        if data is not None:
            store.replace(data)
            store.pin(cid, holder)
            reason = "" if _condition(store, cid) is Condition.WHOLE else "the store still has it damaged"
        yield Finding(cid=cid, condition=condition, repaired=data is not None and not reason, reason=reason)


def copy(cid: bytes, source: Store, target: Store, *, holder: str) -> None:
    """Gives an object to another store, which holds it from then on.

    Raises:
        What `get`, `put` and `pin` do.
    """
    if not target.has(cid):
        target.put(source.get(cid))
    target.pin(cid, holder)


def _condition(store: Store, cid: bytes) -> Condition:
    try:
        for _ in store.stream(cid):
            pass
    except NotFound:
        return Condition.MISSING
    except CorruptContent:
        return Condition.DAMAGED
    return Condition.WHOLE


def _from_peers(cid: bytes, peers: Sequence[Store]) -> tuple[bytes | None, str]:
    reason = "no peer has it" if peers else "there are no peers"
    for peer in peers:
        try:
            return peer.get(cid), ""
        except NotFound:
            continue
        except StoreError as error:
            reason = f"{to_text(cid)} cannot be had from a peer: {error}"
    return None, reason
