"""What a round leaves in the store beside its model: the accepted sum, and a manifest that names both."""

from collections.abc import Sequence
from dataclasses import replace

from aggregator import anchors
from aggregator.records import Model, Update
from aggregator.tools import Tools
from circuits.bn254 import sum_points
from circuits.model import total
from circuits.statement import Statement
from protocol.holders import holder_of
from store.cid import to_text
from store.manifest import Manifest, Opening, encode_manifest
from store.objects import encode_model


def keep_manifest(round: int, model: Model, updates: Sequence[Update], statement: Statement, tools: Tools) -> Model:
    """Stores a round's accepted sum and manifest, and notes the latter; again does no harm.

    Args:
        model: the one after the round. updates: the round's, judged.
    """
    accepted = [update for update in updates if update.accepted]
    # With the model before, the sum gives the next one away.
    is_secret = bool(model.wrapped_key)
    manifest = Manifest(
        chain_id=tools.market.chain.chain_id,
        market=tools.market.address,
        task_id=model.task_id,
        round=round,
        model=Opening(cid=to_text(model.cid), commitment=model.point.to_bytes().hex()),
        sealed=is_secret,
        accepted=len(accepted),
        sum=None if is_secret or not accepted else _kept_sum(accepted, statement, tools),
    )
    data = encode_manifest(manifest)
    tools.store.put_for(holder_of(model.task_id), data)
    tools.boundary("store.manifest")
    noted = replace(model, manifest=data)
    tools.state.put_model(noted)
    return noted


def _kept_sum(accepted: Sequence[Update], statement: Statement, tools: Tools) -> Opening:
    column = total(anchors.columns_of(accepted, statement, tools))
    cid = tools.store.put_for(holder_of(accepted[0].task_id), encode_model(column))
    commitment = sum_points([update.point for update in accepted])
    return Opening(cid=to_text(cid), commitment=commitment.to_bytes().hex())
