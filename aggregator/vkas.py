"""Verifying keys in the on-chain verifier."""

from collections.abc import Sequence

from eth_account.signers.local import LocalAccount

from contracts.bindings import Chain, TransactionReverted, artifacts, register_vka

_NOT_REGISTERED = "VKA not registered"


def is_registered(chain: Chain, verifier: str, words: Sequence[bytes]) -> bool:
    """Whether the verifier knows a key: it looks at the key before it looks at the proof, so an empty one will do."""
    contract = chain.contract(verifier, artifacts.verifier().abi)
    try:
        chain.read(contract.functions.verifyProof(b"", [], list(words)))
    except TransactionReverted as error:
        return error.error_args.get("reason") != _NOT_REGISTERED
    return True


def ensure_registered(chain: Chain, account: LocalAccount, verifier: str, words: Sequence[bytes]) -> bool:
    """Registers a key unless the verifier knows it; whether it had to."""
    if is_registered(chain, verifier, words):
        return False
    register_vka(chain, account, verifier, words)
    return True
