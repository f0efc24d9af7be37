"""A chain behind JSON-RPC: signs locally, waits for receipts, and turns every failure into a typed error."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

import requests
from eth_account.signers.local import LocalAccount
from eth_typing import ABI, ABIError, ChecksumAddress
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.exceptions import (
    BadFunctionCallOutput,
    BlockNotFound,
    ContractLogicError,
    TimeExhausted,
    TransactionNotFound,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import FilterParams, LogReceipt, Nonce, RPCEndpoint, RPCResponse, TxData, TxParams, TxReceipt, Wei

from contracts.bindings import artifacts
from contracts.bindings.errors import (
    ChainRefused,
    ChainUnavailable,
    NotAContract,
    TransactionReplaced,
    TransactionReverted,
    TransactionTimeout,
    TransactionUnknown,
    WrongChain,
)
from contracts.bindings.market_errors import reverted
from contracts.bindings.records import BlockHead
from contracts.bindings.reverts import decode_revert
from contracts.bindings.signed import Journal, Signed

LOCAL_CHAIN_IDS = frozenset({1337, 31337, 131277322940537})
"""Ganache's and geth's developer chain, anvil and Hardhat, the embedded chain."""

_NOT_RETRIED = frozenset({"eth_sendRawTransaction"})
# Held against a node that is restarting, not against one that is down: about 3 seconds in all.
_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.2

# A transaction that so many blocks left out is sent again with higher fees, up to so many times what the chain charges.
_PATIENCE_BLOCKS = 5
_MOST_TIMES_MARKET = 4

# A node may know an account's new nonce a moment before it knows the receipt that goes with it.
_SURE_AFTER = 10

# Stores a transient word, as the contracts' guard against re-entry does, and ends.
_CANCUN_PROBE = "0x5f5f5d00"

# In the words of geth and most others, anvil, Nethermind, and the embedded chain.
_NONCE_TAKEN = ("nonce too low", "replacement transaction underpriced", "oldnonce", "invalid transaction nonce")

Call = ContractFunction | ContractConstructor
T = TypeVar("T")


class Chain:
    """One chain. Safe to share between threads; transactions of one account go one after the other.

    Args:
        rpc_url: http(s) address of a node.
        timeout_seconds: for one request and, apart, for a transaction to be mined.

    Raises:
        ChainUnavailable: the node does not answer.
    """

    def __init__(self, rpc_url: str, *, timeout_seconds: float = 120) -> None:
        self.rpc_url = _without_credentials(rpc_url)
        self.timeout_seconds = timeout_seconds
        self.w3 = Web3(_Provider(rpc_url, self.rpc_url, timeout_seconds))
        # Proof-of-authority chains put more into a header's extra data than the standard allows.
        self.w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        self.chain_id = self._ask(lambda: self.w3.eth.chain_id)
        self._locks: dict[ChecksumAddress, threading.Lock] = {}
        self._locks_guard = threading.Lock()

    def __repr__(self) -> str:
        return f"Chain({self.rpc_url!r}, chain_id={self.chain_id})"

    @property
    def is_local(self) -> bool:
        """Whether nothing of value can be on this chain: what is for demos only may be used on it."""
        return self.chain_id in LOCAL_CHAIN_IDS

    def contract(self, address: str, abi: ABI) -> Contract:
        """A contract at an address; structs that it returns have their fields' names."""
        return self.w3.eth.contract(address=to_checksum_address(address), abi=abi, decode_tuples=True)

    def balance_wei(self, address: str) -> int:
        """Native currency of an account."""
        return self._ask(lambda: self.w3.eth.get_balance(to_checksum_address(address)))

    def most_wei(self, gas: int) -> int:
        """What a node wants to see in an account before it takes transactions with so much gas from it now."""
        return (gas + gas // 10) * max(self._ask(self._fees).values())

    def require_suitable(self, chain_id: int | None = None) -> None:
        """WrongChain unless this is the chain of that id, and one that runs the contracts: Cancun or newer."""
        if chain_id is not None and chain_id != self.chain_id:
            raise WrongChain(self.chain_id, self.rpc_url, f"it should be chain {chain_id}")
        try:
            self.w3.eth.call({"data": HexBytes(_CANCUN_PROBE)})
        except (ContractLogicError, Web3RPCError) as error:
            raise WrongChain(
                self.chain_id, self.rpc_url, f"the contracts need the EVM of Cancun or a newer one ({_message(error)})"
            ) from error

    def code(self, address: str) -> bytes:
        """Code of an account; empty if it is not a contract."""
        return bytes(self._ask(lambda: self.w3.eth.get_code(to_checksum_address(address))))

    def now_seconds(self) -> int:
        """Time of the latest block."""
        return self._ask(lambda: self.w3.eth.get_block("latest"))["timestamp"]

    def block_number(self) -> int:
        """Number of the latest block."""
        return self._ask(self.w3.eth.get_block_number)

    def head(self) -> BlockHead:
        """The latest block. All of the chain's state follows from its hash."""
        block = self._ask(lambda: self.w3.eth.get_block("latest"))
        return BlockHead(block["number"], bytes(block["hash"]), block["timestamp"])

    def block_hash(self, number: int) -> bytes | None:
        """Hash of a block; None if the chain is not that long."""
        try:
            return bytes(self._ask(lambda: self.w3.eth.get_block(number))["hash"])
        except BlockNotFound:
            return None

    def logs(self, query: FilterParams) -> list[LogReceipt]:
        """The logs that a filter matches, in order."""
        return self._ask(lambda: self.w3.eth.get_logs(query))

    def read(self, fn: ContractFunction, sender: str | None = None) -> Any:
        """The result of a view, decoded.

        Raises:
            TransactionReverted, ChainRefused, ChainUnavailable
            NotAContract: nothing at the address answers this function.
        """
        params: TxParams = {} if sender is None else {"from": to_checksum_address(sender)}
        try:
            return fn.call(params)
        except BadFunctionCallOutput as error:
            raise NotAContract(str(fn.address), _name(fn)) from error
        except (ContractLogicError, Web3RPCError) as error:
            raise _typed(fn, error) from error

    def send(self, account: LocalAccount, fn: Call, value_wei: int = 0, journal: Journal | None = None) -> TxReceipt:
        """Runs a state-changing call and waits until it is mined.

        One that blocks leave out, for others pay more, is replaced by the same with higher fees, within limits: else
        it would hold back everything that the account sends later.

        Args:
            journal: keeps the transaction before it is sent. The one that it has is taken up again if it is the same
                call, and replaced otherwise, or if it waits for too long: never are two of them mined.

        Raises:
            TransactionReverted: by the estimate, before anything is paid; or mined, if the state changed since. A
                custom error of the market has a class of its own, see `market_errors`.
            ChainRefused: the node did not take it.
            TransactionTimeout: sent, but not mined within `timeout_seconds`.
            TransactionReplaced: another transaction of the account took its place.
            ChainUnavailable: the node does not answer.
        """
        kept = journal.latest() if journal else None
        if journal is not None and kept is not None and kept.data == _data(fn):
            receipt = self._taken_up(account, kept, journal)
            if receipt is not None:
                return receipt
            kept = journal.latest()  # dearer by now, or the same
        with self._lock_of(account.address):
            try:
                request = self._build(account, fn, value_wei)
                transaction = self._submit(account, request, journal, kept)
            except (ContractLogicError, Web3RPCError) as error:
                raise _typed(fn, error) from error
        receipt = self._mined(account, transaction, journal)
        if receipt is None:
            raise TransactionReplaced(HexBytes(transaction.hash).to_0x_hex())
        if receipt["status"] != 1:
            raise self._replayed(fn, account, value_wei, receipt)
        return receipt

    def sign(self, account: LocalAccount, fn: Call, value_wei: int = 0) -> bytes:
        """The raw transaction of a state-changing call, which is not sent.

        Raises:
            TransactionReverted: by the estimate. ChainRefused, ChainUnavailable.
        """
        try:
            return self._signed(account, self._build(account, fn, value_wei)).raw
        except (ContractLogicError, Web3RPCError) as error:
            raise _typed(fn, error) from error

    def relay(self, raw: bytes, tx_hash: bytes, fn: ContractFunction, call: TxParams) -> TxReceipt:
        """Sends somebody else's signed call once it would succeed, and waits until it is mined.

        Args:
            fn, call: what the transaction does.
        Raises:
            TransactionReverted, ChainRefused: it would fail, or the node did not take it.
            TransactionTimeout, ChainUnavailable.
        """
        try:
            fn.estimate_gas(call)
            self._send_raw(raw, tx_hash)
        except (ContractLogicError, Web3RPCError) as error:
            raise _typed(fn, error) from error
        return self.wait(HexBytes(tx_hash))

    def transfer(self, account: LocalAccount, to: str, amount_wei: int) -> TxReceipt:
        """Sends native currency.

        Raises:
            ChainRefused, TransactionTimeout, ChainUnavailable
        """
        with self._lock_of(account.address):
            request: TxParams = {"to": to_checksum_address(to), "value": Wei(amount_wei), "gas": 21_000}
            try:
                transaction = self._submit(account, request)
            except Web3RPCError as error:
                raise ChainRefused(_message(error)) from error
        return self.wait(HexBytes(transaction.hash))

    def transaction(self, tx_hash: bytes) -> TxData:
        """A mined transaction, as the node has it.

        Raises:
            TransactionUnknown: it does not have it. ChainUnavailable.
        """
        try:
            return self._ask(lambda: self.w3.eth.get_transaction(HexBytes(tx_hash)))
        except TransactionNotFound as error:
            raise TransactionUnknown(HexBytes(tx_hash).to_0x_hex()) from error

    def receipt(self, tx_hash: bytes) -> TxReceipt | None:
        """The receipt of a transaction; None if the chain does not have it, or no longer."""
        try:
            return self._ask(lambda: self.w3.eth.get_transaction_receipt(HexBytes(tx_hash)))
        except TransactionNotFound:
            return None

    def wait(self, tx_hash: HexBytes) -> TxReceipt:
        """The receipt of a sent transaction, once it is mined.

        Raises:
            TransactionTimeout, ChainUnavailable
        """
        try:
            return self.w3.eth.wait_for_transaction_receipt(
                tx_hash, timeout=self.timeout_seconds, poll_latency=self._poll_seconds
            )
        except TimeExhausted as error:
            raise TransactionTimeout(tx_hash.to_0x_hex(), self.timeout_seconds) from error

    def _ask(self, request: Callable[[], T]) -> T:
        try:
            return request()
        except (BlockNotFound, TransactionNotFound):
            raise
        except Web3RPCError as error:
            raise ChainRefused(_message(error)) from error

    def _lock_of(self, address: ChecksumAddress) -> threading.Lock:
        with self._locks_guard:
            return self._locks.setdefault(address, threading.Lock())

    def _build(self, account: LocalAccount, fn: Call, value_wei: int) -> TxParams:
        params: TxParams = {"from": account.address, "value": Wei(value_wei)}
        gas = fn.estimate_gas(params)
        request: TxParams = {"value": Wei(value_wei), "data": HexBytes(_data(fn)), "gas": gas + gas // 10}
        if isinstance(fn, ContractFunction):
            request["to"] = fn.address
        return request

    def _submit(
        self, account: LocalAccount, request: TxParams, journal: Journal | None = None, kept: Signed | None = None
    ) -> Signed:
        """Signs and sends, again under another nonce where somebody else with this key was faster."""
        retrying = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=_FIRST_PAUSE_SECONDS),
            retry=retry_if_exception(_is_nonce_taken),
            reraise=True,
        )
        return retrying(self._submit_once, account, request, journal, kept)

    def _submit_once(
        self, account: LocalAccount, request: TxParams, journal: Journal | None, kept: Signed | None
    ) -> Signed:
        transaction = self._signed(account, request, kept)
        if journal is not None:
            journal.signed(transaction)
        self._send_raw(transaction.raw, transaction.hash)
        if journal is not None:
            journal.sent(transaction)
        return transaction

    def _signed(self, account: LocalAccount, request: TxParams, kept: Signed | None = None) -> Signed:
        """Under the next nonce, or in place of a kept transaction that is not mined."""
        nonce, fees = self.w3.eth.get_transaction_count(account.address, "pending"), self._fees()
        if kept is not None and self.w3.eth.get_transaction_count(account.address) <= kept.nonce:
            nonce, fees = Nonce(kept.nonce), kept.raised(fees)
        return _sign(account, {**request, **fees, "chainId": self.chain_id, "nonce": nonce})

    def _send_raw(self, raw: bytes, tx_hash: bytes) -> None:
        """The hash is known beforehand, so a lost answer does not lose the transaction."""
        try:
            self.w3.eth.send_raw_transaction(HexBytes(raw))
        except (ChainUnavailable, Web3RPCError):
            if not self._is_known(tx_hash):
                raise

    def _taken_up(self, account: LocalAccount, transaction: Signed, journal: Journal) -> TxReceipt | None:
        """The receipt of one that was sent before; None if it has to be sent anew.

        Raises:
            TransactionTimeout: it waits, and is as dear as it may get.
        """
        try:
            receipt = self._mined(account, transaction, journal)
        except TransactionTimeout:
            if self._dearer(journal.latest() or transaction) is None:
                raise
            return None
        return receipt if receipt is not None and receipt["status"] == 1 else None

    def _mined(self, account: LocalAccount, transaction: Signed, journal: Journal | None = None) -> TxReceipt | None:
        """The receipt, once there is one, of the transaction or of a dearer one in its place; None once something else
        has the nonce.

        A node forgets what waits when it restarts, so it is told again.
        """
        sent, since_block = [transaction], self.block_number()
        ends_at, replaced = time.monotonic() + self.timeout_seconds, 0
        while (receipt := next(filter(None, (self.receipt(each.hash) for each in reversed(sent))), None)) is None:
            taken = self._ask(lambda: self.w3.eth.get_transaction_count(account.address)) > transaction.nonce
            replaced = replaced + 1 if taken else 0
            if replaced > _SURE_AFTER:
                return None
            if time.monotonic() > ends_at:
                raise TransactionTimeout(HexBytes(sent[-1].hash).to_0x_hex(), self.timeout_seconds)
            if not taken and not self._is_known(sent[-1].hash):
                with suppress(Web3RPCError):
                    self.w3.eth.send_raw_transaction(HexBytes(sent[-1].raw))
            if not taken and (block := self.block_number()) >= since_block + _PATIENCE_BLOCKS:
                sent, since_block = [*sent, *self._replaced(account, sent[-1], journal)], block
            time.sleep(self._poll_seconds)
        return receipt

    def _replaced(self, account: LocalAccount, waiting: Signed, journal: Journal | None) -> list[Signed]:
        """The same transaction with higher fees, sent; none if it is as dear as it may get, or no node takes it."""
        fees = self._dearer(waiting)
        if fees is None:
            return []
        dearer = _sign(account, {**waiting.call, **fees, "chainId": self.chain_id, "nonce": Nonce(waiting.nonce)})
        if journal is not None:
            journal.signed(dearer)
        try:
            self._send_raw(dearer.raw, dearer.hash)
        except Web3RPCError:  # mined meanwhile, or more than the account holds
            if journal is not None:
                journal.signed(waiting)
            return []
        if journal is not None:
            journal.sent(dearer)
        return [dearer]

    def _dearer(self, waiting: Signed) -> dict[str, int] | None:
        """Fees of what may take its place; None if they would be far above what the chain charges."""
        market = self._ask(self._fees)
        fees = waiting.raised(market)
        return fees if max(fees.values()) <= _MOST_TIMES_MARKET * max(market.values()) else None

    @property
    def _poll_seconds(self) -> float:
        return 0.05 if self.is_local else 0.5

    def _is_known(self, tx_hash: bytes) -> bool:
        try:
            self.w3.eth.get_transaction(HexBytes(tx_hash))
        except (TransactionNotFound, Web3RPCError):
            return False
        return True

    def _fees(self) -> dict[str, int]:
        base_fee = self.w3.eth.get_block("latest").get("baseFeePerGas")
        if base_fee is None:
            return {"gasPrice": self.w3.eth.gas_price}
        tip = self.w3.eth.max_priority_fee
        # Twice the base fee: it may rise by an eighth a block while the transaction waits.
        return {"maxFeePerGas": 2 * base_fee + tip, "maxPriorityFeePerGas": tip}

    def _replayed(self, fn: Call, account: LocalAccount, value_wei: int, receipt: TxReceipt) -> TransactionReverted:
        """Receipts carry no reason: the same call on the state afterwards usually fails the same way."""
        tx_hash = HexBytes(receipt["transactionHash"]).to_0x_hex()
        try:
            fn.estimate_gas({"from": account.address, "value": Wei(value_wei)})
        except (ContractLogicError, Web3RPCError) as error:
            typed = _typed(fn, error)
            if isinstance(typed, TransactionReverted):
                return reverted(typed.function, typed.error_name, typed.error_args, tx_hash)
        return TransactionReverted(_name(fn), "unknown", {}, tx_hash)


class _Provider(HTTPProvider):
    """Retries what is safe to repeat, and names what failed."""

    def __init__(self, rpc_url: str, shown_url: str, timeout_seconds: float) -> None:
        super().__init__(rpc_url, request_kwargs={"timeout": timeout_seconds}, exception_retry_configuration=None)
        self._shown_url = shown_url

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        attempts = 1 if method in _NOT_RETRIED else _ATTEMPTS
        retrying = Retrying(
            stop=stop_after_attempt(attempts),
            wait=wait_exponential(multiplier=_FIRST_PAUSE_SECONDS),
            retry=retry_if_exception_type(requests.ConnectionError),
            reraise=True,
        )
        try:
            answer = retrying(super().make_request, method, params)
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status == requests.codes.request_entity_too_large:
                raise ChainRefused(f"{method}: the request is larger than the node accepts") from error
            raise ChainUnavailable(method, self._shown_url, f"HTTP status {status}") from error
        except requests.RequestException as error:
            raise ChainUnavailable(method, self._shown_url, type(error).__name__) from error
        except ValueError as error:
            raise ChainUnavailable(method, self._shown_url, "the answer is not JSON") from error
        if not (isinstance(answer, dict) and answer.get("jsonrpc") == "2.0"):
            raise ChainUnavailable(method, self._shown_url, "the answer is not JSON-RPC")
        return answer


def _sign(account: LocalAccount, fields: Mapping[str, Any]) -> Signed:
    encoded = account.sign_transaction(dict(fields))
    return Signed(bytes(encoded.hash), bytes(encoded.raw_transaction))


def _is_nonce_taken(error: BaseException) -> bool:
    """Whether a node refused a transaction that it does not know because another one has its nonce."""
    if not isinstance(error, Web3RPCError):
        return False
    words = _message(error).lower()
    return any(known in words for known in _NONCE_TAKEN)


def _typed(fn: Call, error: ContractLogicError | Web3RPCError) -> TransactionReverted | ChainRefused:
    data = _revert_data(error)
    if data is None:
        return ChainRefused(_message(error))
    errors: Mapping[bytes, ABIError] = {**artifacts.market_errors(), **artifacts.errors_of(_abi(fn))}
    return reverted(_name(fn), *decode_revert(data, errors))


def _revert_data(error: ContractLogicError | Web3RPCError) -> bytes | None:
    """What the contract reverted with; None if the contract was not what failed."""
    data: Any = error.data if isinstance(error, ContractLogicError) else None
    if isinstance(error, Web3RPCError) and error.rpc_response is not None:
        data = cast(Any, error.rpc_response.get("error") or {}).get("data")
    if isinstance(data, str) and data.startswith("0x"):
        return bytes.fromhex(data[2:])
    return b"" if isinstance(error, ContractLogicError) else None


def _message(error: Exception) -> str:
    if isinstance(error, Web3RPCError) and error.rpc_response is not None:
        return str(cast(Any, error.rpc_response.get("error") or {}).get("message", error))
    return str(error)


def _data(fn: Call) -> bytes:
    data = fn.data_in_transaction if isinstance(fn, ContractConstructor) else fn._encode_transaction_data()
    return bytes(HexBytes(cast(Any, data)))


def _name(fn: Call) -> str:
    return "constructor" if isinstance(fn, ContractConstructor) else str(fn.fn_name)


def _abi(fn: Call) -> ABI:
    return fn.abi if isinstance(fn, ContractConstructor) else fn.contract_abi


def _without_credentials(rpc_url: str) -> str:
    """A node's address as it may be logged: providers put keys into user info, path and query."""
    parts = urlsplit(rpc_url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
