"""The market's custom errors, one class each, with the Solidity error's arguments as attributes in snake case.

Beside its own they are those of the libraries and tokens that it calls. Addresses are in lower case, `bytes32` as hex
(field names as text), states and layers by name.
"""

import builtins
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from contracts.bindings.errors import TransactionReverted

_CLASSES: dict[tuple[str, tuple[str, ...]], type["MarketError"]] = {}


class MarketError(TransactionReverted):
    """Root of the custom errors: a call, an estimate or a mined transaction was reverted with one of them."""

    _solidity_name: ClassVar[str]

    def __init__(self, function: str, error_args: Mapping[str, Any], tx_hash: str | None = None) -> None:
        super().__init__(function, self._solidity_name, error_args, tx_hash)
        for name, value in error_args.items():
            setattr(self, snake_case(name), value)

    def __init_subclass__(cls, *, solidity_name: str | None = None) -> None:
        """`solidity_name`: of an error whose name another contract's has, with other arguments."""
        cls._solidity_name = solidity_name or cls.__name__
        _CLASSES[cls._solidity_name, tuple(cls.__annotations__)] = cls


def reverted(
    function: str, error_name: str, error_args: Mapping[str, Any], tx_hash: str | None = None
) -> TransactionReverted:
    """The error of this name with these arguments; a plain TransactionReverted if it is none of the market's."""
    kind = _CLASSES.get((error_name, tuple(snake_case(name) for name in error_args)))
    if kind is None:
        return TransactionReverted(function, error_name, error_args, tx_hash)
    return kind(function, error_args, tx_hash)


def snake_case(name: str) -> str:
    """acceptBits -> accept_bits."""
    return re.sub("(?<=[a-z0-9])[A-Z]", lambda capital: "_" + capital.group().lower(), name)


class UnknownTask(MarketError):
    """When no task has this id."""

    task_id: int


class WrongTaskState(MarketError):
    """When a call needs the task to be in another state."""

    task_id: int
    required: str
    actual: str


class WrongRound(MarketError):
    """When a call names a round that is not the current one."""

    current: int
    given: int


class WrongRoundState(MarketError):
    """When a call needs the round to be in another state."""

    round: int
    required: str
    actual: str


class NotAggregator(MarketError):
    """When somebody else than the task's aggregator calls."""

    caller: str


class NotOwner(MarketError):
    """When somebody else than the task's owner calls."""

    caller: str


class FieldTooSmall(MarketError):
    """When a field of a new task is under its minimum."""

    field: str
    value: int
    minimum: int


class FieldTooLarge(MarketError):
    """When a field of a new task is over its maximum."""

    field: str
    value: int
    maximum: int


class FieldNotAllowed(MarketError):
    """When a field of a new task has a value that is not among those allowed."""

    field: str
    value: int


class VerifierWithoutCode(MarketError):
    """When the named verifier is not a contract."""

    verifier: str


class WrongValue(MarketError):
    """When the native currency sent with a call is not exactly what it needs."""

    required_wei: int
    sent_wei: int


class FeeOnTransferToken(MarketError):
    """When a token delivers another amount than it was asked for."""

    token: str
    required_wei: int
    received_wei: int


class AlreadyJoined(MarketError):
    """When a trainer joins twice."""

    trainer: str


class NotAllowed(MarketError):
    """When an account is not on the task's allow-list."""

    trainer: str


class NotJoined(MarketError):
    """When a round names a trainer that has not joined the task."""

    trainer: str


class WrongAnchor(MarketError):
    """When slot 0 of a task with an anchor holds something else than the owner's reference, or the previous sum."""

    trainer: str
    x: int
    y: int


class DuplicateTrainer(MarketError):
    """When a round names a trainer twice."""

    trainer: str


class TooFewTrainers(MarketError):
    """When a round has fewer trainers than the task's quorum."""

    count: int
    quorum: int


class TooManyTrainers(MarketError):
    """When a round has more trainers than the task's slots."""

    count: int
    slots: int


class InvalidCid(MarketError):
    """When a CID is empty or longer than the maximum."""

    length_bytes: int
    maximum_bytes: int


class InvalidSignature(MarketError):
    """When a signature is not the trainer's over this very update."""

    trainer: str


class InvalidPoint(MarketError):
    """When a point is not on the curve, is infinity, or has coordinates beyond the field."""

    x: int
    y: int


class PointOfAnotherRound(MarketError):
    """When a point's x belongs to another round of the task: what was used once never fits again."""

    x: int
    round: int
    belongs_to: int


class PointAlreadyUsed(MarketError):
    """When a point or its negation is another trainer's in this round, or one of the public columns."""

    x: int
    y: int


class CommitWindowClosed(MarketError):
    """When a round is committed after its window."""

    deadline: int


class SettleWindowClosed(MarketError):
    """When a round is settled after its window."""

    deadline: int


class WindowStillOpen(MarketError):
    """When a round is expired before its window has passed."""

    deadline: int


class UpdatesMismatch(MarketError):
    """When trainers and points are not those that the round committed to."""

    committed: str
    given: str


class WrongLength(MarketError):
    """When the Gram triangle, the proof or the scores have not the length that trainers and slots ask for, or lists
    that belong together differ in length."""

    field: str
    length: int
    required: int


class GramOutOfRange(MarketError):
    """When a Gram entry's magnitude is 2^62 or more."""

    index: int
    value: int


class AcceptedInactiveSlot(MarketError):
    """When a slot is accepted that holds no trainer's update."""

    accept_bits: int
    active_bits: int


class ScoreWithoutAccept(MarketError):
    """When a slot that is not accepted has a score."""

    slot: int
    score: int


class ProofTermsMismatch(MarketError):
    """When a settlement's proof terms are not the task's."""

    pinned: str
    given: str


class UpdateKeyMismatch(MarketError):
    """When the update argument's key is not the one that the task pinned."""

    pinned: str
    given: str


class VkaMismatch(MarketError):
    """When the words of the rule's verifying key are not those that the task pinned."""

    pinned: str
    given: str


class ProofRejected(MarketError):
    """When a verifier, of the update argument or of the rule, does not accept a proof."""


class VerifierMisbehaved(MarketError):
    """When the rule's verifier accepts, but answers with something else than success and the pinned digest."""


class ColumnsOutOfRange(MarketError):
    """When an update argument is about no columns, or more than it can be."""

    count: int
    maximum: int


class InvalidProofPoint(MarketError, solidity_name="InvalidPoint"):
    """When a point of an update argument is infinity, off the curve, or not reduced."""

    field: str
    index: int
    x: int
    y: int


class ScalarOutOfField(MarketError):
    """When an evaluation of an update argument is not below r."""

    index: int
    value: int


class ZetaInDomain(MarketError):
    """When an update argument's challenge falls on a row, which no prover can bring about."""

    zeta: int


class PrecompileFailed(MarketError):
    """When a curve precompile fails."""

    precompile: int


class CreditLocked(MarketError):
    """When a credit is not claimable before the task is closed."""

    task_id: int


class NothingToWithdraw(MarketError):
    """When an account has no credit in a task."""

    task_id: int
    account: str


class PageTooLarge(MarketError):
    """When a page asks for more entries than a view returns at once."""

    limit: int
    maximum: int


class ERC20InsufficientAllowance(MarketError):
    """By a token, when the market was allowed less than it is to take (ERC-6093)."""

    spender: str
    allowance: int
    needed: int


class ERC20InsufficientBalance(MarketError):
    """By a token, when the sender has less than it is to send (ERC-6093)."""

    sender: str
    balance: int
    needed: int


class FailedCall(MarketError):
    """When native currency is not taken by its receiver."""


class InsufficientBalance(MarketError):
    """When the market holds less native currency than it is to pay."""

    balance: int
    needed: int


class InvalidShortString(MarketError):
    """When a short string is malformed (OpenZeppelin; not by any call of the market)."""


class ReentrancyGuardReentrantCall(MarketError):
    """When a token or a receiver calls the market back."""


class SafeERC20FailedOperation(MarketError):
    """When a token says no, or is no token."""

    token: str


class StringTooLong(MarketError):
    """When a short string is too long (OpenZeppelin; not by any call of the market)."""

    str: builtins.str
