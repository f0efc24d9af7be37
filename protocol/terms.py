"""A task's terms on chain, and what any party derives from them on its own before it risks work or money.

A task names digests and points; whoever takes part computes them again from the rule's name and the sizes, and refuses
a task that says otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from circuits import model, rules
from circuits.bn254 import G1Point
from circuits.commitment import Column, check_opening, commit, empty_column
from circuits.errors import CircuitError, CommitmentMismatch, FieldError
from circuits.fixedpoint import FixedPoint
from circuits.linear.update_argument import UpdateKey
from circuits.proof import from_field
from circuits.prover import CircuitKeys, Prover
from circuits.rules import Anchor as RuleAnchor
from circuits.srs import MAX_K, Srs
from circuits.statement import Statement
from contracts.bindings import NATIVE, Anchor, Chain, TaskConfig, UntrustedVerifier, allowlist
from contracts.bindings.deploy import check_verifier
from protocol.last_model import rule_name_of
from store.cid import cid_of, to_text
from store.errors import MalformedObject
from store.objects import decode_model

_ANCHORS = {
    RuleAnchor.NONE: Anchor.NONE,
    RuleAnchor.REFERENCE: Anchor.REFERENCE,
    RuleAnchor.PREVIOUS_SUM: Anchor.PREVIOUS_SUM,
}


class UnacceptableTerms(Exception):
    """A task's terms are not what an honest task of its rule and sizes has, or cannot be proven.

    Attributes:
        field: the offending field of the terms.
        limit: what would have been accepted, in words.
    """

    def __init__(self, field: str, got: object, limit: str) -> None:
        super().__init__(f"{field}: got {got}, but {limit}")
        self.field = field
        self.limit = limit


@dataclass(frozen=True, kw_only=True)
class Derived:
    """What a statement stands for under one string.

    Attributes:
        statement: the statement.
        update_key: of the update argument. rule_keys: of the rule's circuit.
        srs: string of the commitments' domain.
        empty_column: commitment to the public column without data.
    """

    statement: Statement
    update_key: UpdateKey
    rule_keys: CircuitKeys
    srs: Srs
    empty_column: G1Point


def statement_of(config: TaskConfig) -> Statement:
    """The statement that a task's terms name.

    Raises:
        UnacceptableTerms: an unknown rule, wrong parameters, or sizes that no circuit here has.
    """
    outlier, _, contribution = rule_name_of(config).partition("+")
    try:
        names = [parameter.name for parameter in rules.load(outlier, contribution).params_schema]
        if len(names) != len(config.rule_params):
            raise FieldError("rule_params", config.rule_params, f"{config.rule_name} takes {names}")
        return Statement(
            slots=config.slots,
            dim=config.dim,
            fmt=FixedPoint(bits=config.bits, fraction_bits=config.fractional_bits),
            logrows=config.k,
            outlier=outlier,
            contribution=contribution,
            rule_params=dict(zip(names, map(from_field, config.rule_params), strict=True)),
        )
    except FieldError as error:
        field = {"outlier": "rule_name", "contribution": "rule_name", "logrows": "k"}.get(error.field, error.field)
        raise UnacceptableTerms(field, getattr(config, field, "another value"), error.limit) from error


def derive(statement: Statement, prover: Prover) -> Derived:
    """Computes keys and points; blocks for seconds, or minutes when the keys are new.

    Raises:
        SrsError, ProverError: see `Prover.keys`.
    """
    srs = prover.srs(statement.logrows)
    return Derived(
        statement=statement,
        update_key=statement.update_key(srs),
        rule_keys=prover.keys(statement.rule_circuit),
        srs=srs,
        empty_column=commit(empty_column(statement.dim, statement.fmt), srs),
    )


def anchor_of(statement: Statement) -> Anchor:
    """What slot 0 of every round holds, as the contract has it."""
    return _ANCHORS[statement.anchor]


def check_terms(config: TaskConfig, chain: Chain, prover: Prover, max_logrows: int = MAX_K) -> Derived:
    """Derives everything that the terms claim, and compares. Blocks like `derive`.

    Args:
        max_logrows: refuse a larger domain, before anything is derived.
    Raises:
        UnacceptableTerms: naming the field that an honest task would not have.
        SrsError, ProverError, and what `Chain` raises.
    """
    if config.k > max_logrows:
        raise UnacceptableTerms("k", config.k, f"it must be at most {max_logrows}")
    statement = statement_of(config)
    _require_equal("anchor", config.anchor, anchor_of(statement))
    check_pace(config)
    try:
        statement.rule.outlier.check(config.quorum, statement.rule_params)
    except FieldError as error:
        raise UnacceptableTerms("quorum", config.quorum, error.limit) from error
    try:
        model.check_room(slots=config.slots, rounds=config.rounds, fmt=statement.fmt)
    except FieldError as error:
        raise UnacceptableTerms("rounds", config.rounds, error.limit) from error
    try:
        check_verifier(chain, config.verifier)
    except UntrustedVerifier as error:
        raise UnacceptableTerms("verifier", config.verifier, f"its code must be the pinned one ({error})") from error
    derived = derive(statement, prover)
    for srs in (derived.srs, prover.srs(statement.rule_circuit.settings.logrows)):
        srs.require_allowed(chain_is_local=chain.is_local)
    _require_equal("update_key", config.update_key.hex(), derived.update_key.digest.hex())
    _require_equal("rule_vka", config.rule_vka.hex(), derived.rule_keys.vka_digest.hex())
    _require_equal("empty_column", G1Point(*config.empty_column), derived.empty_column)
    return derived


def check_pace(config: TaskConfig) -> None:
    """UnacceptableTerms unless target and learning rate are those of a task that means to train.

    A target that any update meets would end the task with its first round, whatever it promises for the others.
    """
    any_update = config.dim << 2 * (config.bits - 1)
    if config.target_norm >= any_update:
        raise UnacceptableTerms("target_norm", config.target_norm, f"it must be below {any_update}, dim * 4^(bits - 1)")
    if config.patience and not config.learning_rate:
        raise UnacceptableTerms("learning_rate", 0, "with patience there must be one to halve")


def check_membership(
    config: TaskConfig, account: str, *, allowed: Sequence[str], max_stake_wei: int, stake_token: str = NATIVE
) -> list[bytes]:
    """What the account must agree with to join; returns the Merkle proof that `joinTask` asks for.

    Args:
        allowed: the addresses that may join, as far as the account knows; empty for a task that is open to all.
        max_stake_wei: most that the account is willing to post, in the smallest unit of `stake_token`.
    Raises:
        UnacceptableTerms: the task asks for a larger stake, or one in another currency, or has another allow-list.
        ValueOutOfRange: the account is not on its own list, or an entry is no address.
    """
    if config.stake_wei > max_stake_wei:
        raise UnacceptableTerms("stake_wei", config.stake_wei, f"this trainer posts at most {max_stake_wei}")
    if config.stake_wei:
        _require_equal("token", config.token.lower(), stake_token.lower())
    _require_equal("allow_root", config.allow_root.hex(), allowlist.root_of(allowed).hex())
    return list(allowlist.proof_of(allowed, account))


def check_genesis(data: bytes, config: TaskConfig, srs: Srs) -> Column:
    """The genesis model, if these bytes are the one that the terms name.

    Raises:
        UnacceptableTerms: other bytes than the CID's, no model of this dim, or another commitment.
    """
    if cid_of(data) != config.genesis_cid:
        raise UnacceptableTerms("genesis_cid", f"{len(data)} other bytes", f"it must be {_shown(config.genesis_cid)}")
    return open_model(data, config.dim, G1Point(*config.genesis), srs, field="genesis")


def open_model(data: bytes, dim: int, commitment: G1Point, srs: Srs, *, field: str = "model") -> Column:
    """The model that these bytes hold, if it opens the commitment.

    Raises:
        UnacceptableTerms: the bytes are no model of this dim, or of another commitment.
    """
    try:
        opened = decode_model(data, dim)
        check_opening(opened, commitment, srs)
    except MalformedObject as error:
        raise UnacceptableTerms(f"{field}.{error.field}", f"{len(data)} bytes", error.limit) from error
    except CommitmentMismatch as error:
        raise UnacceptableTerms(field, "another model", f"it must open the commitment on chain ({error})") from error
    except CircuitError as error:
        raise UnacceptableTerms(field, f"{len(data)} bytes", str(error)) from error
    return opened


def _shown(cid: bytes) -> str:
    try:
        return to_text(cid)
    except ValueError:
        return cid.hex()


def _require_equal(field: str, got: object, derived: object) -> None:
    if got != derived:
        raise UnacceptableTerms(field, got, f"from the rule and the sizes follows {derived}")
