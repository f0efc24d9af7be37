"""The key board at an address: keys of sealed objects, handed over in the log of the chain."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from eth_abi.exceptions import DecodingError
from eth_account.signers.local import LocalAccount
from eth_typing import BlockNumber, ChecksumAddress
from eth_utils.abi import event_abi_to_log_topic
from eth_utils.address import to_canonical_address, to_checksum_address
from hexbytes import HexBytes
from web3 import Web3
from web3.contract.contract import Contract
from web3.exceptions import LogTopicError, MismatchedABI
from web3.types import FilterParams, LogReceipt, TxReceipt

from contracts.bindings import artifacts
from contracts.bindings.chain import Chain
from contracts.bindings.deploy import create
from contracts.bindings.errors import UntrustedBoard, ValueOutOfRange
from contracts.bindings.market import Market, settlement_tuple
from contracts.bindings.records import Settlement
from contracts.bindings.signed import Journal

_WORD_BYTES = 32
_WRAPPED_KEY_BYTES = 101


@dataclass(frozen=True, kw_only=True)
class KeyShare:
    """An object's key, wrapped for one receiver.

    Attributes:
        object_id: 32 bytes. cid: where the sealed object is. wrapped_key: 101 bytes, the receiver's address first.
        sender: who handed it over; "" before it is.
    """

    object_id: bytes
    cid: bytes
    wrapped_key: bytes
    sender: str = ""

    def __post_init__(self) -> None:
        for field, length in (("object_id", _WORD_BYTES), ("wrapped_key", _WRAPPED_KEY_BYTES)):
            found = len(getattr(self, field))
            if found != length:
                raise ValueOutOfRange(field, f"{found} bytes", f"it has {length} bytes")

    @property
    def receiver(self) -> ChecksumAddress:
        return to_checksum_address(self.wrapped_key[:20])

    def as_tuple(self) -> tuple[bytes, bytes, bytes]:
        return self.object_id, self.cid, self.wrapped_key


class KeyBoard:
    """Calls return once they are mined, and may raise what `Chain.send` and `Chain.logs` do."""

    def __init__(self, chain: Chain, address: str) -> None:
        self.chain = chain
        self.address = to_checksum_address(address)
        self._contract = chain.contract(address, artifacts.key_board().abi)

    @classmethod
    def deploy(cls, chain: Chain, account: LocalAccount) -> "KeyBoard":
        """A new one; the account keeps no power over it."""
        address, _ = create(chain, account, artifacts.key_board())
        return cls(chain, address)

    def share(self, account: LocalAccount, shares: Sequence[KeyShare], journal: Journal | None = None) -> TxReceipt:
        """Hands keys over."""
        fn = self._contract.functions.share([share.as_tuple() for share in shares])
        return self.chain.send(account, fn, journal=journal)

    def settle_and_share(
        self,
        account: LocalAccount,
        market: Market,
        task_id: int,
        round: int,
        settlement: Settlement,
        shares: Sequence[KeyShare],
        journal: Journal | None = None,
    ) -> TxReceipt:
        """Settles a round and hands keys over, both or neither."""
        given = [share.as_tuple() for share in shares]
        fn = self._contract.functions.settleAndShare(
            market.address, task_id, round, settlement_tuple(settlement), given
        )
        return self.chain.send(account, fn, journal=journal)

    def shared_with(self, receiver: str, *, object_id: bytes | None = None, from_block: int = 0) -> list[KeyShare]:
        """Keys that were handed to somebody, in order. Anyone can hand over anything: only the right one opens."""
        return shared_with(self.chain, receiver, object_id=object_id, from_block=from_block, board=self.address)


def check_board(chain: Chain, address: str) -> None:
    """Raises UntrustedBoard unless the code at an address is a key board's: a call to anything else may do nothing."""
    if chain.code(address) != artifacts.key_board().runtime:
        raise UntrustedBoard(address)


def shared_with(
    chain: Chain, receiver: str, *, object_id: bytes | None = None, from_block: int = 0, board: str | None = None
) -> list[KeyShare]:
    """Keys that were handed to somebody, in order: on one board or, since boards decide nothing, on any."""
    word = HexBytes(to_canonical_address(receiver).rjust(_WORD_BYTES, b"\0"))
    query: FilterParams = {
        "fromBlock": BlockNumber(from_block),
        "toBlock": "latest",
        "topics": [_topic(), None if object_id is None else HexBytes(object_id), word],
    }
    if board is not None:
        query["address"] = to_checksum_address(board)
    return _read(chain.logs(query))


def shared_in(receipt: TxReceipt, receiver: str) -> list[KeyShare]:
    """Keys that a transaction has handed to somebody, on whatever board."""
    return [share for share in _read(receipt["logs"]) if share.receiver == to_checksum_address(receiver)]


@cache
def _contract() -> type[Contract]:
    return Web3().eth.contract(abi=artifacts.key_board().abi)


@cache
def _topic() -> HexBytes:
    [event] = [entry for entry in artifacts.key_board().abi if entry["type"] == "event"]
    return HexBytes(event_abi_to_log_topic(event))


def _read(logs: Iterable[LogReceipt]) -> list[KeyShare]:
    """The shares among logs that anybody may have written: what is none is left out."""
    event, found = _contract().events.KeyShared(), []
    for log in logs:
        if not log["topics"] or HexBytes(log["topics"][0]) != _topic():
            continue
        try:
            args = event.process_log(log)["args"]
            share = KeyShare(
                object_id=args["objectId"], cid=args["cid"], wrapped_key=args["wrappedKey"], sender=args["sender"]
            )
        except (DecodingError, LogTopicError, MismatchedABI, OverflowError, ValueOutOfRange):
            continue
        found.append(share)
    return found
