"""A task as the chain has it, for whoever looks: terms, rounds, and who is owed what."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from circuits.prover import Prover
from circuits.rules.pace import from_units
from contracts.bindings import Chain, Market, RoundState, TaskConfig, TaskState, TaskView, token_of
from protocol.terms import UnacceptableTerms, check_terms
from store.cid import to_text


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CheckDocument(_Document):
    """Something that was derived here and compared; `reason` says what differs."""

    check: str
    ok: bool
    reason: str = ""


class EntryDocument(_Document):
    """One trainer of a committed round, in slot order; the outcome is None before the settlement."""

    trainer: str
    accepted: bool | None
    score: int | None
    paid_wei: str | None


class RoundDocument(_Document):
    """A round, counted from 0. Deadlines are by the chain's clock; 0 where they do not apply."""

    round: int
    state: str
    deadline_seconds: int
    entries: list[EntryDocument]
    model_cid: str | None


class CreditDocument(_Document):
    """What the task owes an account, stake included."""

    account: str
    role: str
    amount_wei: str
    claimable: bool


class TokenDocument(_Document):
    """How a task's token writes amounts, by its own word; null where it does not say."""

    address: str
    symbol: str | None
    decimals: int | None


class TaskDocument(_Document):
    """Amounts are decimal strings, in the smallest unit of the token, or in wei where that is null."""

    chain_id: int
    market: str
    task_id: int
    state: str
    owner: str
    token: TokenDocument | None
    current_round: int
    escrow_wei: str
    bond_wei: str
    learning_rate: float | None
    terms: dict[str, Any]
    checks: list[CheckDocument]
    rounds: list[RoundDocument]
    credits: list[CreditDocument]


def describe(market: Market, task_id: int, prover: Prover | None) -> TaskDocument:
    """Everything that the chain says of a task.

    Args:
        prover: derives what the terms claim, to compare; None leaves that out.
    """
    view = market.task(task_id)
    reached = view.state != TaskState.FUNDED
    last = view.current_round if reached else -1
    return TaskDocument(
        chain_id=market.chain.chain_id,
        market=market.address,
        task_id=task_id,
        state=view.state.name.lower(),
        owner=view.owner,
        token=denomination(market.chain, view.config.token),
        current_round=view.current_round,
        escrow_wei=str(view.escrow_wei),
        bond_wei=str(view.bond_wei),
        learning_rate=from_units(view.learning_rate) if view.config.learning_rate else None,
        terms=terms_of(view.config),
        checks=[] if prover is None else [_checked(view.config, market, prover)],
        rounds=[found for number in range(last + 1) if (found := _round(market, task_id, number)) is not None],
        credits=_credits(market, view),
    )


def denomination(chain: Chain, token: str) -> TokenDocument | None:
    """How amounts of a task are written; None for one in the native currency."""
    found = token_of(chain, token)
    return None if found is None else TokenDocument(**asdict(found.denomination))


def terms_of(config: TaskConfig) -> dict[str, Any]:
    """A task's terms as plain values."""
    return {name: _plain(name, value) for name, value in asdict(config).items()}


def _plain(name: str, value: object) -> object:
    if name == "genesis_cid" and isinstance(value, bytes):
        return to_text(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if name.endswith("_wei") or name == "target_norm":
        return str(value)
    if name == "anchor":
        return str(getattr(value, "name", value)).lower()
    if isinstance(value, list | tuple):
        return [str(part) for part in value]
    return value


def _checked(config: TaskConfig, market: Market, prover: Prover) -> CheckDocument:
    what = "every term follows from the rule and the sizes; the verifier is the pinned one"
    try:
        check_terms(config, market.chain, prover)
    except UnacceptableTerms as error:
        return CheckDocument(check=what, ok=False, reason=str(error))
    return CheckDocument(check=what, ok=True)


def _round(market: Market, task_id: int, number: int) -> RoundDocument | None:
    view = market.round(task_id, number)
    if view.state == RoundState.NONE:
        return None
    settled = view.state == RoundState.SETTLED
    entries = [
        EntryDocument(
            trainer=trainer,
            accepted=view.accept[slot] if settled else None,
            score=view.scores[slot] if settled else None,
            paid_wei=str(view.paid_wei[slot]) if slot < len(view.paid_wei) else None,
        )
        for slot, trainer in enumerate(view.trainers)
    ]
    return RoundDocument(
        round=number,
        state=view.state.name.lower(),
        deadline_seconds=view.commit_deadline_seconds or view.settle_deadline_seconds,
        entries=entries,
        model_cid=None if view.model_cid is None else to_text(view.model_cid),
    )


def _credits(market: Market, view: TaskView) -> list[CreditDocument]:
    roles: dict[str, str] = {view.owner: "owner"}
    roles.setdefault(view.config.aggregator, "aggregator")
    for event in market.events(view.task_id):
        if event.name == "TrainerJoined":
            roles.setdefault(event.args["trainer"], "trainer")
    found = []
    for account, role in roles.items():
        amount_wei, claimable = market.credit(view.task_id, account)
        found.append(CreditDocument(account=account, role=role, amount_wei=str(amount_wei), claimable=claimable))
    return found
