"""Puts the market and the verifier on a chain, and verifying keys into the verifier."""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils.crypto import keccak
from web3.types import TxReceipt

from contracts.bindings import artifacts
from contracts.bindings.artifacts import Artifact
from contracts.bindings.chain import Chain
from contracts.bindings.errors import TransactionReverted, UntrustedVerifier, ValueOutOfRange
from contracts.bindings.signed import Journal

_WORD_BYTES = 32


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


def deploy(chain: Chain, account: LocalAccount) -> Deployment:
    """Deploys two verifiers, a market and a key board; none has an owner, so the account keeps no power over them.

    Raises:
        ArtifactMissing, and everything that `Chain.send` does.
    """
    verifier, _ = create(chain, account, artifacts.verifier())
    update_argument, _ = create(chain, account, artifacts.update_argument())
    market, block = create(chain, account, artifacts.market(), update_argument)
    key_board, _ = create(chain, account, artifacts.key_board())
    check_verifier(chain, verifier)
    return Deployment(
        market=market,
        update_argument=update_argument,
        verifier=verifier,
        key_board=key_board,
        chain_id=chain.chain_id,
        block=block,
    )


def create(chain: Chain, account: LocalAccount, artifact: Artifact, *arguments: object) -> tuple[ChecksumAddress, int]:
    """Creates one contract; returns its address and block."""
    factory = chain.w3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    receipt = chain.send(account, factory.constructor(*arguments))
    address = receipt["contractAddress"]
    if address is None:
        raise TransactionReverted("constructor", "unknown", {}, receipt["transactionHash"].to_0x_hex())
    return address, receipt["blockNumber"]


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
