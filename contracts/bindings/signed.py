"""Signed transactions as they are kept: what they will do, and which others they exclude, is in their bytes."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import rlp
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

_LEGACY_NUMBERS = ("nonce", "gasPrice", "gas", "value")
_LEGACY_FIELDS = ("nonce", "gasPrice", "gas", "to", "value", "data")


@dataclass(frozen=True)
class Signed:
    """Attributes:
    hash: of the transaction. raw: what nodes take.
    """

    hash: bytes
    raw: bytes

    @property
    def nonce(self) -> int:
        """Of all transactions of an account with one nonce, a chain takes one."""
        return int(self._fields["nonce"])

    @property
    def data(self) -> bytes:
        """The call, encoded."""
        return bytes(self._fields["data"])

    @property
    def call(self) -> dict[str, Any]:
        """What it does, without nonce and fees."""
        call = {name: self._fields[name] for name in ("gas", "value", "data")}
        return {**call, "to": self._fields["to"]} if self._fields["to"] else call  # a creation has no receiver

    def raised(self, fees: dict[str, int]) -> dict[str, int]:
        """Fees of a transaction that nodes take in this one's place: an eighth more, where today's are not higher."""
        return {name: max(fee, int(self._fields.get(name, 0)) * 9 // 8 + 1) for name, fee in fees.items()}

    @cached_property
    def _fields(self) -> dict[str, Any]:
        if self.raw[0] < 0x80:  # the type; older ones are a list
            return dict(TypedTransaction.from_bytes(HexBytes(self.raw)).as_dict())
        fields = dict(zip(_LEGACY_FIELDS, rlp.decode(self.raw), strict=False))
        return fields | {name: int.from_bytes(fields[name], "big") for name in _LEGACY_NUMBERS}


class Journal(Protocol):
    """Where a caller keeps a transaction, so that no restart sends a second one for the same purpose."""

    def latest(self) -> Signed | None:
        """The last one that was signed for the purpose."""

    def signed(self, transaction: Signed) -> None:
        """It is sent when this returns, and so must be durable by then."""

    def sent(self, transaction: Signed) -> None:
        """A node has it."""
