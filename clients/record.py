"""What the chain says of a task and its rounds, in the form of a bundle."""

from collections.abc import Sequence

from circuits.srs import Srs
from clients.bundle import RoundRecord, TaskRecord, point_hex
from contracts.bindings import Market, RoundState
from protocol.last_model import is_asked
from protocol.terms import statement_of
from store.cid import to_text


class NotSettled(Exception):
    """A round is in another state; the message names it."""


def task_record(market: Market, task_id: int, strings: Sequence[Srs]) -> TaskRecord:
    """A task's terms. `strings` are those of its commitments and of the rule's circuit.

    Raises:
        UnacceptableTerms: nothing here proves them.
    """
    view = market.task(task_id)
    config, statement = view.config, statement_of(view.config)
    return TaskRecord(
        chain_id=market.chain.chain_id,
        market=market.address,
        verifier=config.verifier,
        task_id=task_id,
        owner=view.owner,
        aggregator=config.aggregator,
        slots=config.slots,
        dim=config.dim,
        bits=config.bits,
        fraction_bits=config.fractional_bits,
        logrows=config.k,
        outlier=statement.outlier,
        contribution=statement.contribution,
        rule_params=dict(statement.rule_params),
        update_key=config.update_key.hex(),
        rule_vka=config.rule_vka.hex(),
        genesis=point_hex(config.genesis),
        empty_column=point_hex(config.empty_column),
        rounds=config.rounds,
        reward_per_round_wei=str(config.reward_per_round_wei),
        target_norm=str(config.target_norm),
        learning_rate=str(config.learning_rate),
        patience=config.patience,
        seal_last_model=is_asked(config),
        srs_sha256={srs.k: srs.digest for srs in strings},
    )


def round_record(market: Market, task_id: int, number: int) -> RoundRecord:
    """A settled round (NotSettled if it is not)."""
    view = market.round(task_id, number)
    if view.state != RoundState.SETTLED or view.model is None:
        raise NotSettled(f"round {number + 1} is {view.state.name.lower()} on chain")
    rows = zip(view.trainers, view.points, view.cids, view.accept, view.scores, view.paid_wei, strict=True)
    entries = [
        {
            "trainer": trainer,
            "point": point_hex(point),
            "cid": to_text(cid),
            "accepted": accepted,
            "score": score,
            "paid_wei": str(paid_wei),
        }
        for trainer, point, cid, accepted, score, paid_wei in rows
    ]
    return RoundRecord.model_validate(
        {
            "round": number,
            "entries": entries,
            "model": point_hex(view.model),
            "norm": str(view.norm),
            "halvings": view.halvings,
        }
    )
