"""The key board at an address: keys of sealed objects, handed over in the log of the chain."""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils.abi import event_abi_to_log_topic
from eth_utils.address import to_canonical_address, to_checksum_address
from hexbytes import HexBytes
from web3.types import TxReceipt

from contracts.bindings import artifacts
from contracts.bindings.chain import Chain
from contracts.bindings.deploy import create
from contracts.bindings.errors import ValueOutOfRange
from contracts.bindings.market import Market, settlement_tuple
from contracts.bindings.records import Settlement

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
        self._contract = chain.contract(address, artifacts.forge("KeyBoard").abi)
        [event] = [entry for entry in artifacts.forge("KeyBoard").abi if entry["type"] == "event"]
        self._topic = HexBytes(event_abi_to_log_topic(event))

    @classmethod
    def deploy(cls, chain: Chain, account: LocalAccount) -> "KeyBoard":
        """A new one; the account keeps no power over it."""
        address, _ = create(chain, account, artifacts.forge("KeyBoard"))
        return cls(chain, address)

    def share(self, account: LocalAccount, shares: Sequence[KeyShare]) -> TxReceipt:
        """Hands keys over."""
        return self.chain.send(account, self._contract.functions.share([share.as_tuple() for share in shares]))

    def settle_and_share(
        self,
        account: LocalAccount,
        market: Market,
        task_id: int,
        round: int,
        settlement: Settlement,
        shares: Sequence[KeyShare],
    ) -> TxReceipt:
        """Settles a round and hands keys over, both or neither."""
        given = [share.as_tuple() for share in shares]
        fn = self._contract.functions.settleAndShare(
            market.address, task_id, round, settlement_tuple(settlement), given
        )
        return self.chain.send(account, fn)

    def shared_with(self, receiver: str, *, object_id: bytes | None = None, from_block: int = 0) -> list[KeyShare]:
        """Keys that were handed to somebody, in order. Anyone can hand over anything: only the right one opens."""
        word = HexBytes(to_canonical_address(receiver).rjust(_WORD_BYTES, b"\0"))
        topics = [self._topic, None if object_id is None else HexBytes(object_id), word]
        logs = self.chain.logs(
            {"address": self.address, "fromBlock": from_block, "toBlock": "latest", "topics": topics}
        )
        shares = []
        for log in logs:
            args = self._contract.events.KeyShared().process_log(log)["args"]
            shares.append(
                KeyShare(
                    object_id=args["objectId"], cid=args["cid"], wrapped_key=args["wrappedKey"], sender=args["sender"]
                )
            )
        return shares
