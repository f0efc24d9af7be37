"""The embedded chain: py-evm, one block a transaction, spoken to in JSON-RPC's own terms.

It is an EVM with real gas, fees and signatures, but no network and no disk: for demos and tests.
"""

import time
from collections.abc import Callable
from typing import Any, cast

from eth.abc import SignedTransactionAPI
from eth.exceptions import Revert, VMError
from eth.vm.spoof import SpoofTransaction
from eth_keys.exceptions import BadSignature
from eth_tester.backends.pyevm.main import PyEVMBackend
from eth_tester.backends.pyevm.serializers import (
    serialize_block,
    serialize_transaction,
    serialize_transaction_receipt,
)
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.exceptions import ValidationError as EvmValidationError
from rlp.exceptions import DecodingError, DeserializationError

BLOCK_GAS_LIMIT = 60_000_000
ACCOUNT_BALANCE_WEI = 1_000_000 * 10**18
_TIP_WEI = 10**9

REVERTED = 3
INVALID_PARAMS = -32602
METHOD_NOT_FOUND = -32601
SERVER_ERROR = -32000


class RpcError(Exception):
    """A JSON-RPC error.

    Attributes:
        code, message, data: as they go onto the wire; data is 0x-prefixed revert data or None.
    """

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class DevNode:
    """One chain in memory. Not thread-safe: the server calls it one request at a time.

    Args:
        addresses: accounts that start with ACCOUNT_BALANCE_WEI.
        clock: Unix time; tests may hand in another one.
    """

    def __init__(self, addresses: list[str], clock: Callable[[], float] = time.time) -> None:
        account = {"balance": ACCOUNT_BALANCE_WEI, "storage": {}, "code": b"", "nonce": 0}
        self._backend = PyEVMBackend(
            genesis_parameters=PyEVMBackend.generate_genesis_params(
                {"gas_limit": BLOCK_GAS_LIMIT, "timestamp": int(clock())}
            ),
            genesis_state={to_canonical_address(address): account for address in addresses},
        )
        self._chain = self._backend.chain
        self._clock = clock
        self._ahead_seconds = 0
        self._found: dict[bytes, int] = {}  # block of a transaction
        self._logs: list[dict[str, Any]] = []
        self._methods = self._routes()
        self._backend.mine_blocks(1)

    def handle(self, method: str, params: list[Any]) -> Any:
        """The result of one call, ready for JSON.

        Raises:
            RpcError: anything that the caller did wrong, and every revert.
        """
        run = self._methods.get(method)
        if run is None:
            raise RpcError(METHOD_NOT_FOUND, f"method {method} is not supported")
        try:
            return run(*params)
        except RpcError:
            raise
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise RpcError(INVALID_PARAMS, f"{method}: {type(error).__name__}: {error}") from error

    def _routes(self) -> dict[str, Callable[..., Any]]:
        return {
            "web3_clientVersion": lambda: "meritproof-devchain",
            "net_version": lambda: str(self._chain.chain_id),
            "eth_chainId": lambda: hex(self._chain.chain_id),
            "eth_blockNumber": lambda: hex(self._height()),
            "eth_gasPrice": lambda: hex(self._base_fee() + _TIP_WEI),
            "eth_maxPriorityFeePerGas": lambda: hex(_TIP_WEI),
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_getBalance": lambda address, _="latest": hex(self._state().get_balance(_address(address))),
            "eth_getTransactionCount": lambda address, _="latest": hex(self._state().get_nonce(_address(address))),
            "eth_getCode": lambda address, _="latest": _hex(self._state().get_code(_address(address))),
            "eth_getStorageAt": self._get_storage_at,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate_gas,
            "eth_sendRawTransaction": self._send_raw_transaction,
            "eth_getTransactionByHash": self._get_transaction,
            "eth_getTransactionReceipt": self._get_receipt,
            "eth_getBlockByNumber": self._get_block_by_number,
            "eth_getBlockByHash": self._get_block_by_hash,
            "eth_getLogs": self._get_logs,
            "evm_increaseTime": self._increase_time,
            "evm_mine": self._mine_empty,
        }

    # ------------------------------------------------------------------ state

    def _height(self) -> int:
        # The head that py-evm holds is the block being built.
        return cast(int, self._chain.header.block_number) - 1

    def _base_fee(self) -> int:
        return cast(int, self._chain.header.base_fee_per_gas)

    def _state(self) -> Any:
        return self._chain.get_vm().state

    def _refresh_clock(self) -> None:
        """The block being built carries the present time, not that of the last block's end."""
        parent = self._chain.get_canonical_block_header_by_number(self._height())
        now = int(self._clock()) + self._ahead_seconds
        self._chain.set_header_timestamp(max(now, parent.timestamp + 1))

    def _get_storage_at(self, address: str, slot: str, _block: str = "latest") -> str:
        value = self._state().get_storage(_address(address), int(slot, 16))
        return "0x" + cast(int, value).to_bytes(32, "big").hex()

    # -------------------------------------------------------------- execution

    def _call(self, request: dict[str, Any], _block: str = "latest") -> str:
        _, computation = self._execute(request)
        return _hex(computation.output)

    def _estimate_gas(self, request: dict[str, Any], _block: str = "latest") -> str:
        """Gas of one run with all the gas there is, plus a quarter.

        Refunds and the 1/64 that a call keeps back make a transaction need more than it uses; searching for
        the least would run an expensive proof verification a dozen times.
        """
        gas, computation = self._execute(request)
        # Prague charges a minimum for data, whatever the execution needed.
        used = gas - computation.get_gas_remaining() + computation.data_floor_gas
        return hex(min(used + used // 4, BLOCK_GAS_LIMIT))

    def _execute(self, request: dict[str, Any]) -> tuple[int, Any]:
        """Runs a call on the present state and takes it back: the gas it was given, and how it went."""
        self._refresh_clock()
        state = self._state()
        sender = _address(request.get("from", "0x" + "00" * 20))
        target = request.get("to")
        gas = min(int(request.get("gas", hex(BLOCK_GAS_LIMIT)), 16), BLOCK_GAS_LIMIT)
        unsigned = self._chain.create_unsigned_transaction(
            nonce=state.get_nonce(sender),
            gas_price=self._base_fee(),
            gas=gas,
            to=_address(target) if target else b"",
            value=int(request.get("value", "0x0"), 16),
            data=_bytes(request.get("data", request.get("input", "0x"))),
        )
        transaction = cast(SignedTransactionAPI, SpoofTransaction(unsigned, from_=sender))
        snapshot = state.snapshot()
        try:
            # Callers without a purse may ask as well.
            state.set_balance(sender, state.get_balance(sender) + BLOCK_GAS_LIMIT * self._base_fee())
            computation = state.apply_transaction(transaction)
        except EvmValidationError as error:
            raise RpcError(SERVER_ERROR, str(error)) from error
        finally:
            state.revert(snapshot)
        if computation.is_error:
            raise _failure(computation.error)
        return gas, computation

    def _send_raw_transaction(self, raw: str) -> str:
        self._refresh_clock()
        try:
            transaction = self._chain.get_vm().get_transaction_builder().decode(_bytes(raw))
            transaction.validate()
            if transaction.hash in self._found:
                raise RpcError(SERVER_ERROR, "already known")
            if transaction.chain_id not in (None, self._chain.chain_id):  # py-evm does not look
                raise RpcError(SERVER_ERROR, f"wrong chain id {transaction.chain_id}")
            self._chain.apply_transaction(transaction)
        except (EvmValidationError, BadSignature) as error:
            raise RpcError(SERVER_ERROR, str(error)) from error
        except (DecodingError, DeserializationError, VMError) as error:
            raise RpcError(INVALID_PARAMS, f"not a transaction: {error}") from error
        number = self._height() + 1
        self._backend.mine_blocks(1)
        self._found[transaction.hash] = number
        self._logs.extend(self._receipt(transaction.hash)["logs"])
        return _hex(transaction.hash)

    def _increase_time(self, seconds: int | str) -> int:
        added = int(seconds, 16) if isinstance(seconds, str) else int(seconds)
        if added < 0:
            raise ValueError("time does not run backwards")
        # From the latest block on, which may be ahead of the clock: no two blocks share a second.
        latest = self._chain.get_canonical_block_header_by_number(self._height()).timestamp
        self._ahead_seconds = max(self._ahead_seconds, latest - int(self._clock())) + added
        return self._ahead_seconds

    def _mine_empty(self) -> str:
        self._refresh_clock()
        self._backend.mine_blocks(1)
        return "0x0"

    # --------------------------------------------------------- what was mined

    def _locate(self, tx_hash: bytes) -> tuple[Any, int]:
        block = self._chain.get_canonical_block_by_number(self._found[tx_hash])
        index = next(i for i, transaction in enumerate(block.transactions) if transaction.hash == tx_hash)
        return block, index

    def _get_transaction(self, tx_hash: str) -> Any:
        key = _bytes(tx_hash)
        if key not in self._found:
            return None
        block, index = self._locate(key)
        transaction: dict[str, Any] = dict(serialize_transaction(block, block.transactions[index], index, False))
        transaction["input"] = transaction.pop("data")  # as Ethereum's nodes call it
        return _wire(transaction)

    def _get_receipt(self, tx_hash: str) -> Any:
        key = _bytes(tx_hash)
        return _wire(self._receipt(key)) if key in self._found else None

    def _receipt(self, tx_hash: bytes) -> dict[str, Any]:
        block, index = self._locate(tx_hash)
        receipt: dict[str, Any] = serialize_transaction_receipt(
            block,
            block.get_receipts(self._chain.chaindb),
            block.transactions[index],
            index,
            False,
            self._chain.get_vm(),
        )
        del receipt["state_root"]
        receipt["logs_bloom"] = block.header.bloom.to_bytes(256, "big")
        for log in receipt["logs"]:
            log.pop("type")
            log["removed"] = False
        return receipt

    def _get_block_by_number(self, number: str, full: bool = False) -> Any:
        wanted = self._resolve(number)
        if wanted > self._height():
            return None
        return self._block(self._chain.get_canonical_block_by_number(wanted), full)

    def _get_block_by_hash(self, block_hash: str, full: bool = False) -> Any:
        key = _bytes(block_hash)
        for number in range(self._height(), -1, -1):
            header = self._chain.get_canonical_block_header_by_number(number)
            if header.hash == key:
                return self._block(self._chain.get_canonical_block_by_number(number), full)
        return None

    def _block(self, block: Any, full: bool) -> Any:
        fields: dict[str, Any] = serialize_block(block, full, False)
        fields["miner"] = fields.pop("coinbase")
        fields["logs_bloom"] = fields["logs_bloom"].to_bytes(256, "big")
        return _wire(fields)

    def _get_logs(self, query: dict[str, Any]) -> Any:
        if "blockHash" in query:
            raise RpcError(INVALID_PARAMS, "eth_getLogs by block hash is not supported")
        first = self._resolve(query.get("fromBlock", "latest"))
        last = self._resolve(query.get("toBlock", "latest"))
        addresses = query.get("address")
        if isinstance(addresses, str):
            addresses = [addresses]
        wanted = None if addresses is None else {_address(address) for address in addresses}
        topics = [_topic_choices(choice) for choice in query.get("topics", [])]
        return [
            _wire(log)
            for log in self._logs
            if first <= log["block_number"] <= last
            and (wanted is None or log["address"] in wanted)
            and len(log["topics"]) >= len(topics)
            and all(choice is None or topic in choice for choice, topic in zip(topics, log["topics"], strict=False))
        ]

    def _resolve(self, number: str) -> int:
        if number == "earliest":
            return 0
        return self._height() if number in ("latest", "safe", "finalized", "pending") else int(number, 16)


def _failure(error: VMError) -> RpcError:
    if isinstance(error, Revert):
        data = error.args[0] if error.args and isinstance(error.args[0], bytes) else b""
        return RpcError(REVERTED, "execution reverted", _hex(data))
    return RpcError(SERVER_ERROR, f"{type(error).__name__}: {error}")


def _topic_choices(choice: Any) -> set[bytes] | None:
    if choice is None:
        return None
    return {_bytes(topic) for topic in ([choice] if isinstance(choice, str) else choice)}


def _address(text: str) -> bytes:
    return bytes(to_canonical_address(text))


def _bytes(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError("bytes are written in hex after 0x")
    return bytes.fromhex(text[2:])


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _wire(value: Any, name: str = "") -> Any:
    """py-evm's values as JSON-RPC writes them: camel case, 0x-prefixed hex, checksummed addresses."""
    if isinstance(value, dict):
        return {_camel(key): _wire(entry, key) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(entry, name) for entry in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, bytes):
        if name in ("to", "from", "address", "contract_address", "miner"):
            return to_checksum_address(value) if value else None
        return _hex(value)
    raise TypeError(f"{name} is a {type(value).__name__}")


def _camel(name: str) -> str:
    special = {"data": "data", "sha3_uncles": "sha3Uncles"}
    head, *rest = name.split("_")
    return special.get(name, head + "".join(part.capitalize() for part in rest))
