"""Values that go to the market and come from it.

Amounts are in the token's smallest unit, times in Unix seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from eth_typing import ChecksumAddress, HexAddress, HexStr
from eth_utils.address import is_checksum_address, is_hex_address

from contracts.bindings.errors import ValueOutOfRange

_UINT = {bits: range(2**bits) for bits in (8, 16, 32, 64, 96, 128, 256)}
_INT64 = range(-(2**63), 2**63)
_WORD_BYTES = 32

UPDATE_KEY_WORDS = 13

NATIVE = "0x0000000000000000000000000000000000000000"
"""Token address that stands for the chain's native currency."""
NOBODY = ChecksumAddress(HexAddress(HexStr(NATIVE)))
"""Who a round's record names as the trainer of a previous sum."""


class Point(NamedTuple):
    """An affine point of BN254's G1, canonical integers; (0, 0) is infinity."""

    x: int
    y: int


class TaskState(IntEnum):
    """As in `Task.sol`."""

    NONE = 0
    FUNDED = 1
    OPEN = 2
    CLOSED = 3


class Anchor(IntEnum):
    """What slot 0 of every round holds, as in `Task.sol`."""

    NONE = 0
    REFERENCE = 1
    PREVIOUS_SUM = 2


class RoundState(IntEnum):
    """As in `Round.sol`."""

    NONE = 0
    COLLECTING = 1
    COMMITTED = 2
    SETTLED = 3
    EXPIRED = 4


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What a task promises. Here values must fit their types; the contract refuses, by name, what makes no sense.

    Attributes:
        aggregator: the only account that may post the bond, commit rounds and publish models.
        token: ERC-20 of reward, bond and stakes, or NATIVE.
        reward_per_round_wei: split by score in each settled round, 1..2^128-1.
        bond_wei: at least one round's reward.
        rounds: number of rounds, 1..65,536.
        quorum: fewest trainers of a round, 1..slots; an anchor does not count, and takes a slot.
        slots: slots of the rule's circuit, 3..32.
        anchor: what slot 0 holds instead of a trainer's update.
        bits: width of an entry, 4, 8 or 16.
        dim: length of an update, 1..2^k - 518.
        k: log2 of the domain, 10..28.
        fractional_bits: q of the scale 2^-q, at most 64.
        commit_window_seconds, settle_window_seconds: 1 s to 365 days.
        pay_by_round: credits are claimable each round instead of at the end.
        verifier: address of the reusable verifier, for the rule's proofs.
        update_key: keccak256 of the update argument's key, 32 bytes.
        rule_vka: keccak256 of the words of the rule's verifying key, 32 bytes.
        rule_params: public parameters of the rule, at most 16 field elements.
        genesis: commitment to the model before the first round.
        empty_column: commitment to the public column without data.
        stake_wei: what each trainer posts when it joins, returned with the task's end; 0 asks for none.
        allow_root: Merkle root of those who may join, see `allowlist`; zeros are open to all.
        target_norm: the task is done when |A|^2 <= target_norm * n^2, A the sum of n > 0 accepted updates; 0: never.
        learning_rate: of the first round, in units of 2^-32; 0 leaves it to the trainers.
        patience: stale rounds after which the learning rate is halved; 0 keeps it constant.
        genesis_cid: binary CIDv1 of the first model, 1..128 bytes. In the log only.
        rule_name: a label, at most 64 bytes. In the log only.
    """

    aggregator: str
    reward_per_round_wei: int
    bond_wei: int
    rounds: int
    quorum: int
    slots: int
    dim: int
    k: int
    commit_window_seconds: int
    settle_window_seconds: int
    verifier: str
    update_key: bytes
    rule_vka: bytes
    genesis: tuple[int, int]
    empty_column: tuple[int, int]
    genesis_cid: bytes
    token: str = NATIVE
    anchor: Anchor = Anchor.NONE
    bits: int = 8
    fractional_bits: int
    pay_by_round: bool = False
    rule_params: tuple[int, ...] = ()
    stake_wei: int = 0
    allow_root: bytes = bytes(_WORD_BYTES)
    target_norm: int = 0
    learning_rate: int = 0
    patience: int = 0
    rule_name: str = ""

    def __post_init__(self) -> None:
        for name in ("quorum", "slots", "bits", "k", "fractional_bits"):
            _require_in(name, getattr(self, name), _UINT[8])
        for name in ("rounds", "dim", "commit_window_seconds", "settle_window_seconds"):
            _require_in(name, getattr(self, name), _UINT[32])
        _require_in("patience", self.patience, _UINT[16])
        _require_in("learning_rate", self.learning_rate, _UINT[64])
        _require_in("target_norm", self.target_norm, _UINT[96])
        for name in ("reward_per_round_wei", "bond_wei", "stake_wei"):
            _require_in(name, getattr(self, name), _UINT[128])
        for name in ("aggregator", "token", "verifier"):
            require_address(name, getattr(self, name))
        _require_words("update_key, rule_vka, allow_root", (self.update_key, self.rule_vka, self.allow_root))
        _require_points("genesis, empty_column", (self.genesis, self.empty_column))
        for value in self.rule_params:
            _require_in("rule_params", value, _UINT[256])

    @property
    def total_reward_wei(self) -> int:
        """What `createTask` takes into escrow."""
        return self.reward_per_round_wei * self.rounds


class BlockHead(NamedTuple):
    """The latest block. Attributes: seconds: its time."""

    number: int
    hash: bytes
    seconds: int


class Pace(NamedTuple):
    """What the hyper-parameter rule remembers: the lowest |A|^2 / n^2 so far (n = 0: none), stale rounds, halvings."""

    best_norm: int
    best_count: int
    stale: int
    halvings: int


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """A task: terms and state.

    Attributes:
        deadline_seconds: latest time of the current round's next step; 0 unless the task is open.
        created_at_block: where its logs begin.
        model_scale: K = lcm(1..slots).
        escrow_wei: reward not yet credited. bond_wei: posted now.
        learning_rate: of the current round, in units of 2^-32. pace: what the rule for it remembers.
        model: commitment to the current model.
    """

    task_id: int
    owner: ChecksumAddress
    state: TaskState
    current_round: int
    round_state: RoundState
    deadline_seconds: int
    created_at_block: int
    model_scale: int
    escrow_wei: int
    bond_wei: int
    learning_rate: int
    pace: Pace
    model: Point
    config: TaskConfig


@dataclass(frozen=True, kw_only=True)
class RoundView:
    """A round: state from storage, details from its logs.

    Attributes:
        trainers, points, cids: in slot order; empty before the commit.
        accept, scores: one a trainer; empty before the settlement.
        paid_wei: credited to each trainer, from the reward or, if the round expired, from the bond.
        model: commitment after the round; None unless settled.
        norm: |A|^2 of the accepted sum, where the task has a target or patience. halvings: of the learning rate.
        commit_deadline_seconds, settle_deadline_seconds: 0 where they do not apply.
    """

    task_id: int
    round: int
    state: RoundState
    commit_deadline_seconds: int
    settle_deadline_seconds: int
    trainers: tuple[ChecksumAddress, ...] = ()
    points: tuple[Point, ...] = ()
    cids: tuple[bytes, ...] = ()
    accept: tuple[bool, ...] = ()
    scores: tuple[int, ...] = ()
    paid_wei: tuple[int, ...] = ()
    model: Point | None = None
    model_cid: bytes | None = None
    norm: int = 0
    halvings: int = 0


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One trainer's signed update: submission i fills slot i."""

    trainer: str
    point: tuple[int, int]
    cid: bytes
    signature: bytes

    def __post_init__(self) -> None:
        require_address("trainer", self.trainer)
        _require_points("point", (self.point,))


@dataclass(frozen=True, kw_only=True)
class ProofTerms:
    """Those of a task's terms that its proofs depend on: a settlement brings them along (see `of`)."""

    verifier: str
    update_key: bytes
    rule_vka: bytes
    rule_params: tuple[int, ...]

    def __post_init__(self) -> None:
        require_address("verifier", self.verifier)
        _require_words("update_key, rule_vka", (self.update_key, self.rule_vka))
        for value in self.rule_params:
            _require_in("rule_params", value, _UINT[256])

    @classmethod
    def of(cls, config: TaskConfig) -> "ProofTerms":
        """A task's own."""
        return cls(
            verifier=config.verifier,
            update_key=config.update_key,
            rule_vka=config.rule_vka,
            rule_params=config.rule_params,
        )


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """Everything that settles a round.

    Attributes:
        trainers, points: as committed, in slot order.
        gram: upper triangle over the n filled slots, row by row: n (n + 1) / 2 integers of 64 bits.
        accept: one a slot (or fewer: the rest are False).
        scores: one a slot, each below 2^64, 0 where not accepted.
        update_proof, rule_proof: proof bytes.
        update_key: the 13 words of the update argument's key.
        rule_vka: the 32-byte words of the rule's verifying key.
        terms: the task's.
    """

    trainers: tuple[str, ...]
    points: tuple[tuple[int, int], ...]
    gram: tuple[int, ...]
    accept: tuple[bool, ...]
    scores: tuple[int, ...]
    update_proof: bytes
    update_key: tuple[int, ...]
    rule_proof: bytes
    rule_vka: tuple[bytes, ...]
    terms: ProofTerms

    def __post_init__(self) -> None:
        for trainer in self.trainers:
            require_address("trainers", trainer)
        _require_points("points", self.points)
        for entry in self.gram:
            _require_in("gram", entry, _INT64)
        for score in self.scores:
            _require_in("scores", score, _UINT[64])
        if len(self.update_key) != UPDATE_KEY_WORDS:
            raise ValueOutOfRange("update_key", f"{len(self.update_key)} words", f"it has {UPDATE_KEY_WORDS}")
        for word in self.update_key:
            _require_in("update_key", word, _UINT[256])
        _require_words("rule_vka", self.rule_vka)

    @property
    def accept_bits(self) -> int:
        """Bit i: slot i is accepted."""
        return sum(1 << i for i, accepted in enumerate(self.accept) if accepted)


@dataclass(frozen=True, kw_only=True)
class MarketEvent:
    """One log of the market, decoded.

    Attributes:
        name: the event's name. args: its arguments by name.
    """

    name: str
    task_id: int
    args: dict[str, Any] = field(default_factory=dict)
    block_number: int
    block_hash: bytes
    log_index: int
    tx_hash: str


def _require_in(name: str, value: int, allowed: range) -> None:
    if value not in allowed:
        raise ValueOutOfRange(name, value, f"it must be an integer in [{allowed.start}, {allowed.stop - 1}]")


def require_address(name: str, value: str) -> None:
    """ValueOutOfRange unless this is an address."""
    plain = value[2:] in (value[2:].lower(), value[2:].upper())
    if not (is_hex_address(value) and value.startswith("0x") and (plain or is_checksum_address(value))):
        raise ValueOutOfRange(name, value, "it must be an address: 0x and 40 hex digits, its checksum right if any")


def _require_points(name: str, points: Iterable[tuple[int, int]]) -> None:
    for point in points:
        for coordinate in point:
            _require_in(name, coordinate, _UINT[256])


def _require_words(name: str, words: Iterable[bytes]) -> None:
    for word in words:
        if len(word) != _WORD_BYTES:
            raise ValueOutOfRange(name, f"{len(word)} bytes", f"a word has {_WORD_BYTES} bytes")
