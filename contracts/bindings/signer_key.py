"""Public keys of accounts, from transactions that they have signed. An address is only a hash of its key."""

from typing import Any, cast

import rlp
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_typing import ChecksumAddress
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError
from hexbytes import HexBytes

from contracts.bindings.chain import Chain
from contracts.bindings.errors import KeyUnknown

_UNSIGNED_FIELDS = ("chainId", "nonce", "gas", "to", "value")
_FEES = {1: ("gasPrice",), 2: ("maxFeePerGas", "maxPriorityFeePerGas")}
_FIRST_V_WITH_CHAIN = 35


def public_key_of(chain: Chain, tx_hash: bytes, account: ChecksumAddress) -> bytes:
    """The compressed public key, 33 bytes, of an account that has signed a transaction.

    Raises:
        KeyUnknown: another account signed it (a contract's calls are signed by somebody else), or it is of a kind that
            is not known here.
        TransactionUnknown, ChainUnavailable.
    """
    transaction: dict[str, Any] = {**chain.transaction(tx_hash)}
    try:
        digest, parity = _signed(transaction)
        r, s = (int.from_bytes(HexBytes(transaction[name]), "big") for name in ("r", "s"))
        key = Signature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError, KeyError, TypeError, ValueError) as error:
        raise KeyUnknown(account, f"transaction 0x{tx_hash.hex()} is of another kind ({error!r})") from error
    if key.to_checksum_address() != account:
        raise KeyUnknown(account, f"transaction 0x{tx_hash.hex()} is not signed with it: is the account a contract?")
    return bytes(key.to_compressed_bytes())


def _signed(transaction: dict[str, Any]) -> tuple[bytes, int]:
    """What was signed, and the parity of the signature."""
    kind, v = int(transaction.get("type", 0)), int(transaction["v"])
    if kind == 0:
        return _legacy(transaction, v)
    names = (*_UNSIGNED_FIELDS, *_FEES[kind])
    fields = {name: transaction[name] for name in names} | {"type": kind, "data": transaction["input"]}
    fields["accessList"] = [
        {"address": entry["address"], "storageKeys": list(entry["storageKeys"])}
        for entry in transaction.get("accessList") or []
    ]
    return bytes(TypedTransaction.from_dict(cast(Any, fields)).hash()), v


def _legacy(transaction: dict[str, Any], v: int) -> tuple[bytes, int]:
    """Before EIP-2718, with the chain in v (EIP-155) or nowhere."""
    to = HexBytes(transaction["to"])
    fields = [transaction[name] for name in ("nonce", "gasPrice", "gas")]
    fields += [bytes(to), transaction["value"], bytes(HexBytes(transaction["input"]))]
    if v < _FIRST_V_WITH_CHAIN:
        return keccak(rlp.encode(fields)), v - 27
    chain_id, parity = divmod(v - _FIRST_V_WITH_CHAIN, 2)
    return keccak(rlp.encode([*fields, chain_id, 0, 0])), parity
