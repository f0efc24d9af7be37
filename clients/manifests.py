"""What each round leaves in the store beside its model: accepted sum and manifest, as they follow from the rest.

Nobody is asked where they are: two models that open the chain's commitments give the sum between them, and with it all
that the manifest says; so their CIDs are known.
"""

from collections.abc import Iterator

from circuits.bn254 import G1Point, sum_points
from circuits.commitment import Column
from circuits.model import denominator
from clients.storage import TaskObject
from contracts.bindings import Market, RoundState, RoundView
from protocol import last_model
from store.cid import cid_of, to_text
from store.errors import StoreError, StoreUnavailable
from store.interface import Store
from store.manifest import Manifest, Opening, encode_manifest
from store.objects import decode_model, encode_model


def derived_objects(market: Market, task_id: int, store: Store) -> Iterator[TaskObject]:
    """Sum and manifest of every round whose model is published.

    Args:
        store: has the models, which have been checked; what follows from one that is missing or damaged is left out.
    Raises:
        StoreUnavailable.
    """
    view = market.task(task_id)
    config, sealed_version = view.config, last_model.sealed_version(market, view)

    def model(data: bytes) -> Column:
        return decode_model(data, config.dim)

    before = _read(store, config.genesis_cid, config.dim)
    for number in range(view.current_round + 1):
        round, name = market.round(task_id, number), f"round {number + 1}"
        if round.state != RoundState.SETTLED or round.model_cid is None:
            return
        is_sealed = number + 1 == sealed_version
        accepted = [G1Point(*p) for p, taken in zip(round.points, round.accept, strict=True) if taken]
        after = None if is_sealed else _read(store, round.model_cid, config.dim)
        summed = None
        if accepted and before is not None and after is not None:
            column = _sum_between(before, after, len(accepted), config.slots)
            summed = TaskObject(
                what=f"{name}: accepted sum",
                cid=cid_of(encode_model(column)),
                point=sum_points(accepted),
                opened=model,
            )
            yield summed
        if is_sealed or not accepted or summed is not None:
            data = _manifest(market, round, len(accepted), summed, is_sealed=is_sealed)
            yield TaskObject(what=f"{name}: manifest", cid=cid_of(data), point=None, opened=model)
        before = after


def _manifest(market: Market, round: RoundView, accepted: int, summed: TaskObject | None, *, is_sealed: bool) -> bytes:
    assert round.model is not None
    assert round.model_cid is not None
    return encode_manifest(
        Manifest(
            chain_id=market.chain.chain_id,
            market=market.address,
            task_id=round.task_id,
            round=round.round,
            model=_opening(round.model_cid, G1Point(*round.model)),
            sealed=is_sealed,
            accepted=accepted,
            sum=None if summed is None or summed.point is None else _opening(summed.cid, summed.point),
        )
    )


def _opening(cid: bytes, point: G1Point) -> Opening:
    return Opening(cid=to_text(cid), commitment=point.to_bytes().hex())


def _sum_between(before: Column, after: Column, accepted: int, slots: int) -> Column:
    """What `circuits.model.fold` has added, without its factor K / n."""
    share = denominator(slots) // accepted
    return Column(
        values=(after.values - before.values) // share,
        salts=(after.salts - before.salts) // share,
        tail=(after.tail - before.tail) // share,
    )


def _read(store: Store, cid: bytes, dim: int) -> Column | None:
    try:
        return decode_model(store.get(cid), dim)
    except StoreUnavailable:
        raise
    except StoreError:
        return None
