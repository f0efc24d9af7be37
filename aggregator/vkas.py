"""Verifying keys in the on-chain verifier."""

from collections.abc import Sequence

from contracts.bindings import Chain, TransactionReverted, artifacts

_NOT_REGISTERED = "VKA not registered"


def is_registered(chain: Chain, verifier: str, words: Sequence[bytes]) -> bool:
    """Whether the verifier knows a key: it looks at the key before it looks at the proof, so an empty one will do."""
    contract = chain.contract(verifier, artifacts.verifier().abi)
    try:
        chain.read(contract.functions.verifyProof(b"", [], list(words)))
    except TransactionReverted as error:
        return error.error_args.get("reason") != _NOT_REGISTERED
    return True
