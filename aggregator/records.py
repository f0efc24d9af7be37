"""What the aggregator remembers, as values."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from eth_typing import ChecksumAddress

from circuits.bn254 import G1Point


class Step(IntEnum):
    """Steps of a round in their order; the numbers are those of the wire's `RoundStep`, and of the database."""

    COLLECTING = 1
    SEALED = 2
    COMMITTED = 3
    LINEAR_PROVEN = 4
    RULE_PROVEN = 5
    SETTLED = 6
    PUBLISHED = 7
    EXPIRED = 8


FINAL_STEPS = (Step.PUBLISHED, Step.EXPIRED)


class Layer(IntEnum):
    """The numbers are those of the wire's `ProofLayer`, and of the database."""

    LINEAR = 1
    RULE = 2


class Purpose(IntEnum):
    """What a transaction of the aggregator is for; the numbers are those of the database."""

    REGISTER_KEY = 1
    POST_BOND = 2
    COMMIT = 3
    SETTLE = 4
    PUBLISH = 5
    EXPIRE = 6
    SHARE = 7


class Block(NamedTuple):
    """A block of one course of the chain: in another one, that number has another hash."""

    number: int
    hash: bytes


@dataclass(frozen=True, kw_only=True)
class Round:
    """Attributes:
    step: the last one that is done and durable.
    commit_deadline_seconds: by the chain's clock.
    opened_in: where the chain began it; None if that was before this was remembered.
    """

    task_id: int
    round: int
    step: Step
    commit_deadline_seconds: int
    opened_in: Block | None = None


@dataclass(frozen=True, kw_only=True)
class Update:
    """A trainer's update, checked, or what fills slot 0; its bytes are in the content store under `cid`.

    Attributes:
        trainer: of an anchor, the owner for its reference, NOBODY for a previous sum.
        signature: the trainer's, over UpdateCommitment; a previous sum has none.
        slot: None until the round is sealed.
        accepted, score: None until the rule is proven.
        paid_wei: None until the round is settled.
    """

    task_id: int
    round: int
    trainer: ChecksumAddress
    point: G1Point
    cid: bytes
    signature: bytes
    received_at_seconds: int
    slot: int | None = None
    accepted: bool | None = None
    score: int | None = None
    paid_wei: int | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A global model in the content store, and the commitment that it opens.

    Attributes:
        wrapped_key: of one that is sealed for the task's owner: the key that the owner is handed. b"" otherwise.
        manifest: of the round that made it, once it is stored (see `store.manifest`); b"" of a genesis model.
    """

    task_id: int
    version: int
    cid: bytes
    size_bytes: int
    point: G1Point
    wrapped_key: bytes = b""
    manifest: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """One that a step rests on.

    Attributes:
        round: 0 where it is not for a round.
        raw: as it was signed; empty if somebody else's did the same.
        block: where it was last seen mined, or None.
    """

    task_id: int
    round: int
    purpose: Purpose
    hash: bytes
    raw: bytes = b""
    block: int | None = None


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A block that was final at a depth."""

    depth_blocks: int
    number: int
    hash: bytes


@dataclass(frozen=True, kw_only=True)
class Report:
    """Where a round is: a finished step, or the one that it was taken back to.

    Attributes:
        cursor: grows with each report; 0 before it is stored.
        seconds: how long the step took.
        gas_used: 0 unless the step was a transaction.
        transaction: its hash, or b"".
        rolled_back: the chain took back what came after this step.
    """

    cursor: int = 0
    task_id: int
    round: int
    step: Step
    finished_at_seconds: int
    seconds: float
    gas_used: int = 0
    transaction: bytes = b""
    rolled_back: bool = False
