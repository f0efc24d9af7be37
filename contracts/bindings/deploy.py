"""Puts the market and the verifier on a chain, and verifying keys into the verifier."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils.crypto import keccak
from web3.types import TxReceipt

from contracts.bindings import artifacts
from contracts.bindings.artifacts import Artifact
from contracts.bindings.chain import Chain
from contracts.bindings.errors import InsufficientFunds, TransactionReverted, UntrustedVerifier, ValueOutOfRange
from contracts.bindings.signed import Journal

_WORD_BYTES = 32

# Of a creation: the transaction and its bytes (EIP-2, EIP-2028), its words of creation code (EIP-3860), its code.
_CREATION_GAS = 53_000
_ZERO_BYTE_GAS, _BYTE_GAS = 4, 16
_INITCODE_WORD_GAS = 2
_CODE_BYTE_GAS = 200
# Generous for what the constructors themselves do.
_CONSTRUCTOR_GAS = 100_000

Listener = Callable[[str, ChecksumAddress, TxReceipt], None]


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Where things are on one chain.

    Attributes:
        market: the market. update_argument: what it checks update arguments with. verifier: of the rules' proofs.
        key_board: where keys of sealed models are handed over.
        block: from which on the market's logs can be.
    """

    market: ChecksumAddress
    update_argument: ChecksumAddress
    verifier: ChecksumAddress
    key_board: ChecksumAddress
    chain_id: int
    block: int


def deploy(chain: Chain, account: LocalAccount, listener: Listener = lambda *_: None) -> Deployment:
    """Deploys two verifiers, a market and a key board; none has an owner, so the account keeps no power over them.

    Args:
        listener: is told each contract's name, address and receipt, as soon as it is there.
    Raises:
        ArtifactMissing, and everything that `Chain.send` does.
    """

    def made(name: str, artifact: Artifact, *arguments: object) -> tuple[ChecksumAddress, int]:
        address, receipt = _created(chain, account, artifact, *arguments)
        listener(name, address, receipt)
        return address, receipt["blockNumber"]

    verifier, _ = made("verifier", artifacts.verifier())
    update_argument, _ = made("update_argument", artifacts.update_argument())
    market, block = made("market", artifacts.market(), update_argument)
    key_board, _ = made("key_board", artifacts.key_board())
    check_verifier(chain, verifier)
    return Deployment(
        market=market,
        update_argument=update_argument,
        verifier=verifier,
        key_board=key_board,
        chain_id=chain.chain_id,
        block=block,
    )


def deployment_gas() -> int:
    """Most gas that `deploy` takes, by the rules of Ethereum itself (ArtifactMissing)."""
    parts = (artifacts.verifier(), artifacts.update_argument(), artifacts.market(), artifacts.key_board())
    return sum(map(_creation_gas, parts))


def require_funds(chain: Chain, account: LocalAccount, gas: int) -> int:
    """The most that so much gas costs now, in wei.

    Raises:
        InsufficientFunds: the account holds less.
    """
    needed_wei, balance_wei = chain.most_wei(gas), chain.balance_wei(account.address)
    if balance_wei < needed_wei:
        raise InsufficientFunds(account.address, chain.chain_id, balance_wei, needed_wei)
    return needed_wei


def create(chain: Chain, account: LocalAccount, artifact: Artifact, *arguments: object) -> tuple[ChecksumAddress, int]:
    """Creates one contract; returns its address and block."""
    address, receipt = _created(chain, account, artifact, *arguments)
    return address, receipt["blockNumber"]


def _created(
    chain: Chain, account: LocalAccount, artifact: Artifact, *arguments: object
) -> tuple[ChecksumAddress, TxReceipt]:
    factory = chain.w3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    receipt = chain.send(account, factory.constructor(*arguments))
    address = receipt["contractAddress"]
    if address is None:
        raise TransactionReverted("constructor", "unknown", {}, receipt["transactionHash"].to_0x_hex())
    return address, receipt


def _creation_gas(artifact: Artifact) -> int:
    code = artifact.bytecode
    zeros = code.count(0)
    sent = zeros * _ZERO_BYTE_GAS + (len(code) - zeros) * _BYTE_GAS + -(-len(code) // _WORD_BYTES) * _INITCODE_WORD_GAS
    return _CREATION_GAS + sent + len(artifact.runtime) * _CODE_BYTE_GAS + _CONSTRUCTOR_GAS


def check_verifier(chain: Chain, verifier: str) -> None:
    """Raises UntrustedVerifier unless the code at an address is the pinned verifier's.

    A task names any verifier it likes: whoever works for it checks this first.
    """
    actual, expected = keccak(chain.code(verifier)), artifacts.verifier_code_hash()
    if actual != expected:
        raise UntrustedVerifier(verifier, "0x" + expected.hex(), "0x" + actual.hex())


def vka_digest(words: Sequence[bytes]) -> bytes:
    """keccak256 of a verifying key's words: what a task pins.

    Raises:
        ValueOutOfRange: a word has not 32 bytes.
    """
    for word in words:
        if len(word) != _WORD_BYTES:
            raise ValueOutOfRange("vka", f"{len(word)} bytes", f"a word has {_WORD_BYTES} bytes")
    return keccak(b"".join(words))


def register_vka(
    chain: Chain, account: LocalAccount, verifier: str, words: Sequence[bytes], journal: Journal | None = None
) -> TxReceipt:
    """Makes a verifying key known to a verifier. Again does no harm."""
    vka_digest(words)
    contract = chain.contract(verifier, artifacts.verifier().abi)
    return chain.send(account, contract.functions.registerVka(list(words)), journal=journal)
