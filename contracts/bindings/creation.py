"""`createTask` as a signed transaction: made by an owner, read and sent by somebody else.

Whoever relays one learns what it would do before it costs anything, and can change nothing about it.
"""

from dataclasses import dataclass

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3.types import TxParams, TxReceipt, Wei

from contracts.bindings.errors import InvalidTransaction, TransactionReverted
from contracts.bindings.market import Market
from contracts.bindings.records import NATIVE, TaskConfig

MAX_TRANSACTION_BYTES = 16 << 10
_EIP_1559 = 2


@dataclass(frozen=True, kw_only=True)
class Creation:
    """A signed `createTask` transaction of a market.

    Attributes:
        raw: as it is sent. tx_hash: of 32 bytes.
        sender: the task's owner.
        config: the task's terms.
        call: who calls, and what it pays.
    """

    raw: bytes
    tx_hash: bytes
    sender: ChecksumAddress
    config: TaskConfig
    call: TxParams


def sign_create_task(market: Market, account: LocalAccount, config: TaskConfig) -> bytes:
    """A raw transaction that creates the task once somebody sends it; an ERC-20 must have been approved.

    Raises:
        TransactionReverted: by the estimate. ChainRefused, ChainUnavailable.
    """
    return market.chain.sign(account, *market.create_task_call(config))


def read_creation(market: Market, raw: bytes) -> Creation:
    """What a raw transaction would create.

    Raises:
        InvalidTransaction: it is none, for another chain or contract, or something else than `createTask`.
    """
    if not 0 < len(raw) <= MAX_TRANSACTION_BYTES:
        raise InvalidTransaction("raw_transaction", f"{len(raw)} bytes", f"1 to {MAX_TRANSACTION_BYTES} bytes")
    try:
        fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        sender = to_checksum_address(Account.recover_transaction(raw))
    except Exception as error:  # the library has a class of its own for each way to be malformed
        raise InvalidTransaction("raw_transaction", "no such", "a signed EIP-1559 transaction") from error
    chain_id, to = market.chain.chain_id, bytes(fields["to"])
    _require("type", fields["type"], _EIP_1559)
    _require("chain_id", fields["chainId"], chain_id)
    _require("to", to.hex(), market.address[2:].lower())
    config = _config(market, bytes(fields["data"]))
    _require("value", fields["value"], config.total_reward_wei if config.token == NATIVE else 0)
    call: TxParams = {"from": sender, "value": Wei(fields["value"])}
    return Creation(
        raw=raw,
        tx_hash=keccak(raw),
        sender=sender,
        config=config,
        call=call,
    )


def created_task(market: Market, tx_hash: bytes) -> int | None:
    """The task that a mined transaction has created; None if it is not mined.

    Raises:
        TransactionReverted: it was mined, and reverted.
    """
    receipt = market.chain.receipt(tx_hash)
    return None if receipt is None else _task_of(market, receipt)


def relay(market: Market, creation: Creation) -> int:
    """Sends the transaction and waits until it is mined; returns the task's id.

    Raises:
        TransactionReverted, ChainRefused: it would fail, or did.
        TransactionTimeout, ChainUnavailable
    """
    fn, _ = market.create_task_call(creation.config)
    return _task_of(market, market.chain.relay(creation.raw, creation.tx_hash, fn, creation.call))


def _task_of(market: Market, receipt: TxReceipt) -> int:
    if receipt["status"] != 1:
        raise TransactionReverted("createTask", "unknown", {}, HexBytes(receipt["transactionHash"]).to_0x_hex())
    return market.created(receipt)


def _config(market: Market, data: bytes) -> TaskConfig:
    try:
        return market.created_by(data)
    except Exception as error:  # ABI decoding fails in many ways
        raise InvalidTransaction("data", f"{len(data)} other bytes", "a call of createTask") from error


def _require(field: str, got: object, expected: object) -> None:
    if got != expected:
        raise InvalidTransaction(field, got, str(expected))
