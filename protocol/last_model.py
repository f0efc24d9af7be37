"""A task's last model, sealed for its owner: who asks for it, what both ends agree on, and how the owner opens it.

The owner asks as it creates the task, by the end of the rule's name, which `createTask` puts into the chain's log:
nobody can change it later, and whoever does not know it takes no part. The aggregator seals the model that ends the
task under a fresh key, and hands that key, wrapped for the owner, over in the transaction that settles the round. The
owner's public key follows from its signature of the task's creation.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from circuits.rules import pace
from contracts.bindings import (
    Domain,
    KeyShare,
    Market,
    RoundState,
    TaskConfig,
    TaskState,
    TaskView,
    public_key_of,
    shared_in,
    shared_with,
)
from store.cid import cid_of
from store.errors import WrongKey
from store.keywrap import Receiver, WrappedKey
from store.objects import model_size_limit_bytes
from store.sealed import read_header_of, seal_for, sealed_size_bytes, unseal

_SUFFIX = "+sealed"


class KeyNotShared(Exception):
    """Nobody has handed over the key of a task's last model to this account, yet.

    Attributes:
        task_id: the task's. account: who wants to open it.
    """

    def __init__(self, task_id: int, account: str, owner: str) -> None:
        whose = "it is its owner" if account == owner else f"it is sealed for its owner, {owner}"
        super().__init__(f"the last model of task {task_id}: no key for {account} is on the chain; {whose}")
        self.task_id = task_id
        self.account = account


@dataclass(frozen=True, kw_only=True)
class SealedModel:
    """A sealed model object, and its key as the owner can read it."""

    data: bytes
    key: WrappedKey

    def share(self) -> KeyShare:
        """What the chain is told."""
        identity = read_header_of(self.data).object_id
        return KeyShare(object_id=identity, cid=cid_of(self.data), wrapped_key=self.key.to_bytes())


def is_asked(config: TaskConfig) -> bool:
    """Whether a task's last model is sealed for its owner."""
    return config.rule_name.endswith(_SUFFIX)


def labelled(rule_name: str, *, seal_last_model: bool) -> str:
    """The rule's name as a task carries it."""
    return rule_name + _SUFFIX if seal_last_model else rule_name


def rule_name_of(config: TaskConfig) -> str:
    """The rule's name alone."""
    return config.rule_name.removesuffix(_SUFFIX)


def model_context(domain: Domain, task_id: int, version: int) -> bytes:
    """What a sealed model is for: it opens as no other task's or round's.

    keccak256(abi.encode("merit/v1/model", chainId, market, taskId, version)).
    """
    types = ["string", "uint256", "address", "uint256", "uint32"]
    return keccak(
        encode(types, ["merit/v1/model", domain.chain_id, to_checksum_address(domain.market), task_id, version])
    )


def size_limit_bytes(dim: int) -> int:
    """No sealed model of this many entries is larger."""
    return sealed_size_bytes(model_size_limit_bytes(dim), receivers=0)


def owner_key(market: Market, view: TaskView) -> Receiver:
    """Whom a task's last model is sealed for.

    Raises:
        KeyUnknown: the owner did not sign the task's creation itself: it is a contract.
        TransactionUnknown, ChainUnavailable.
    """
    return Receiver(public_key_of(market.chain, market.creation_transaction(view), view.owner))


def seal_model(data: bytes, owner: Receiver, context: bytes) -> SealedModel:
    """A model object's bytes as they rest, and the key that is handed over with the settlement."""
    sealed, key = seal_for(data, owner, context=context)
    return SealedModel(data=sealed, key=key)


def ends_task(config: TaskConfig, round: int, *, norm: int, count: int) -> bool:
    """Whether a settlement is the task's last.

    Args:
        norm, count: as `circuits.rules.pace.norm` gives them.
    """
    return round + 1 == config.rounds or pace.is_met(config.target_norm, norm=norm, count=count)


def sealed_version(market: Market, view: TaskView) -> int | None:
    """The version of a task's model that is sealed; None if none is, or not yet."""
    if not is_asked(view.config) or view.state != TaskState.CLOSED:
        return None
    settled = market.round(view.task_id, view.current_round).state == RoundState.SETTLED
    return view.current_round + 1 if settled else None


def shares_of(market: Market, view: TaskView, object_id: bytes) -> Iterator[KeyShare]:
    """Keys of a sealed last model for its owner: first those that came with the settlement, then all since the task's
    creation, for a key may be on a board before a settlement that somebody else has sent. Anyone can write there, on
    any board: only the right one opens the object."""
    for event in market.events(view.task_id, round=view.current_round):
        if event.name != "RoundSettled":
            continue
        receipt = market.chain.receipt(HexBytes(event.tx_hash))
        found = [] if receipt is None else shared_in(receipt, view.owner)
        yield from (share for share in found if share.object_id == object_id)
        yield from shared_with(market.chain, view.owner, object_id=object_id, from_block=view.created_at_block)


def open_sealed(data: bytes, market: Market, view: TaskView, account: LocalAccount) -> tuple[bytes, WrappedKey]:
    """The model object's bytes, whatever they are, and the key that opened them.

    Raises:
        KeyNotShared: no key on the chain opens it for this account.
        SealError: the object is not sealed for this, or damaged.
    """
    context = model_context(market.domain, view.task_id, view.current_round + 1)
    for share in shares_of(market, view, read_header_of(data).object_id):
        key = WrappedKey.from_bytes(share.wrapped_key)
        try:
            return unseal(data, account, context=context, wrapped=key), key
        except WrongKey:
            continue
    raise KeyNotShared(view.task_id, account.address, view.owner)
