"""Typed errors of the bindings. Their attributes are part of the interface; no message holds a key."""

from collections.abc import Mapping
from typing import Any


class BindingsError(Exception):
    """Root of every error raised by `contracts.bindings`."""


class ArtifactMissing(BindingsError):
    """A compiled contract is not there, or is not what was compiled.

    Attributes:
        path: the file that is missing or unreadable.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}; run `make setup`")
        self.path = path


class ChainUnavailable(BindingsError):
    """The node did not answer, or answered with something that is not JSON-RPC.

    Attributes:
        method: the JSON-RPC method that was called.
        rpc_url: where, without user name and password.
    """

    def __init__(self, method: str, rpc_url: str, reason: str) -> None:
        super().__init__(f"no answer to {method} from {rpc_url}: {reason}")
        self.method = method
        self.rpc_url = rpc_url


class ChainRefused(BindingsError):
    """The node refused a request without running it: no funds, wrong nonce, unknown method, too large.

    Attributes:
        reason: the node's own words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the node refused: {reason}")
        self.reason = reason


class WrongChain(BindingsError):
    """The chain behind a node is not the one that is meant, or cannot run the contracts.

    Attributes:
        chain_id: of the chain that there is.
    """

    def __init__(self, chain_id: int, rpc_url: str, reason: str) -> None:
        super().__init__(f"chain {chain_id} at {rpc_url}: {reason}")
        self.chain_id = chain_id


class InsufficientFunds(BindingsError):
    """An account holds less than what it is about to do takes.

    Attributes:
        account: its address. balance_wei: what it holds. needed_wei: what it must hold; both in the token's smallest
            unit.
    """

    def __init__(self, account: str, chain_id: int, balance_wei: int, needed_wei: int, *, unit: str = "wei") -> None:
        super().__init__(
            f"{account} holds {balance_wei} {unit} on chain {chain_id}, but it must hold {needed_wei} {unit}"
        )
        self.account = account
        self.balance_wei = balance_wei
        self.needed_wei = needed_wei


class NotAContract(BindingsError):
    """An address holds no contract, or one that does not answer as it should.

    Attributes:
        address: the address that was called.
    """

    def __init__(self, address: str, function: str) -> None:
        super().__init__(f"{address} does not answer {function}: not the contract, or not this chain")
        self.address = address


class ValueOutOfRange(BindingsError, ValueError):
    """A value does not fit its field.

    Attributes:
        field: name of the field. limit: what would have been accepted, in words.
    """

    def __init__(self, field: str, got: object, limit: str) -> None:
        super().__init__(f"{field}: got {got}, but {limit}")
        self.field = field
        self.limit = limit


class TransactionReverted(BindingsError):
    """A call, an estimate or a mined transaction was reverted by the contract.

    Attributes:
        function: name of the contract function, or `constructor`.
        error_name: name of the custom error, `Error` (a reason string), `Panic`, or `unknown`.
        error_args: its arguments by name; bytes32 `field` arguments as text.
        tx_hash: hash of the mined transaction; None if nothing was sent.
    """

    def __init__(
        self, function: str, error_name: str, error_args: Mapping[str, Any], tx_hash: str | None = None
    ) -> None:
        listed = ", ".join(f"{name}={value}" for name, value in error_args.items())
        where = f" in {tx_hash}" if tx_hash else ""
        super().__init__(f"{function} reverted with {error_name}({listed}){where}")
        self.function = function
        self.error_name = error_name
        self.error_args = dict(error_args)
        self.tx_hash = tx_hash


class TransactionTimeout(BindingsError):
    """A transaction was sent, but not mined in time. It may still be.

    Attributes:
        tx_hash: its hash.
        timeout_seconds: how long was waited.
    """

    def __init__(self, tx_hash: str, timeout_seconds: float) -> None:
        super().__init__(f"transaction {tx_hash} was not mined within {timeout_seconds:g} s")
        self.tx_hash = tx_hash
        self.timeout_seconds = timeout_seconds


class InvalidTransaction(BindingsError, ValueError):
    """A raw transaction is not the one that is asked for.

    Attributes:
        field: what differs. limit: what would have been accepted, in words.
    """

    def __init__(self, field: str, got: object, limit: str) -> None:
        super().__init__(f"{field}: got {got}, but it must be {limit}")
        self.field = field
        self.limit = limit


class TransactionReplaced(BindingsError):
    """A transaction was sent, and another one of the account took its nonce: it will never be mined.

    Attributes:
        tx_hash: its hash.
    """

    def __init__(self, tx_hash: str) -> None:
        super().__init__(f"another transaction took the place of {tx_hash}")
        self.tx_hash = tx_hash


class MalformedTask(BindingsError):
    """A task's log holds text that is no text: whoever made it did not use these bindings.

    Attributes:
        task_id: the task.
    """

    def __init__(self, task_id: int) -> None:
        super().__init__(f"task {task_id}: its rule name is not UTF-8")
        self.task_id = task_id


class UntrustedVerifier(BindingsError):
    """The code at a verifier's address is not the pinned verifier's.

    Attributes:
        address: the verifier's.
    """

    def __init__(self, address: str, expected_keccak256: str, actual_keccak256: str) -> None:
        super().__init__(f"code at {address} has hash {actual_keccak256}, expected {expected_keccak256}")
        self.address = address


class UntrustedBoard(BindingsError):
    """The code at an address is not a key board's.

    Attributes:
        address: where it was looked for.
    """

    def __init__(self, address: str) -> None:
        super().__init__(f"the code at {address} is not the key board's")
        self.address = address


class KeyUnknown(BindingsError):
    """An account's public key does not follow from a transaction: another account signed it.

    Attributes:
        address: the account's.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"public key of {address}: {reason}")
        self.address = address


class TransactionUnknown(BindingsError):
    """The node does not have a transaction that was mined: it is catching up, or has forgotten it.

    Attributes:
        tx_hash: as text.
    """

    def __init__(self, tx_hash: str) -> None:
        super().__init__(f"transaction {tx_hash}: the node does not have it; ask one that keeps old transactions")
        self.tx_hash = tx_hash


class LocalChainFailed(BindingsError):
    """A local chain's process did not start."""
