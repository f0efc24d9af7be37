"""Compiled contracts, read from `contracts/out` (forge) and `contracts/build` (the generated verifier)."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from eth_typing import ABI, ABIError
from eth_utils.abi import function_abi_to_4byte_selector
from eth_utils.crypto import keccak

from contracts.bindings.errors import ArtifactMissing

ROOT = Path(__file__).resolve().parents[1]
"""The Foundry project."""

_VERIFIER = "Halo2VerifierReusable"


def _token_error(name: str, party: str, has: str) -> ABIError:
    types = {party: "address", has: "uint256", "needed": "uint256"}
    return {"type": "error", "name": name, "inputs": [{"name": n, "type": t} for n, t in types.items()]}


# ERC-6093; a token's errors pass through the market unchanged.
_TOKEN_ERRORS = (
    _token_error("ERC20InsufficientBalance", "sender", "balance"),
    _token_error("ERC20InsufficientAllowance", "spender", "allowance"),
)


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """Attributes:
    abi: the contract's interface.
    bytecode: creation code, without constructor arguments.
    runtime: code as deployed; immutables are zero in it.
    """

    abi: ABI
    bytecode: bytes
    runtime: bytes


@cache
def market() -> Artifact:
    """The market. Raises ArtifactMissing unless `forge build` has run."""
    return forge("Market")


@cache
def update_argument() -> Artifact:
    """The verifier of the update argument. Raises ArtifactMissing unless `forge build` has run."""
    return forge("UpdateArgument")


@cache
def key_board() -> Artifact:
    """Where keys are handed over. Raises ArtifactMissing unless `forge build` has run."""
    return forge("KeyBoard")


@cache
def forge(contract: str, source: str | None = None) -> Artifact:
    """A contract that forge built from `source` (default: a file of the same name).

    Raises:
        ArtifactMissing: unless `forge build` has run.
    """
    data = _read(ROOT / "out" / f"{source or contract}.sol" / f"{contract}.json")
    return Artifact(
        abi=data["abi"],
        bytecode=_code(data["bytecode"]["object"]),
        runtime=_code(data["deployedBytecode"]["object"]),
    )


@cache
def verifier() -> Artifact:
    """The reusable Halo2 verifier, exactly the one that `verifier.lock.json` pins.

    Raises:
        ArtifactMissing: not compiled yet, or another one.
    """
    path = ROOT / "build" / f"{_VERIFIER}.json"
    data = _read(path)
    artifact = Artifact(abi=data["abi"], bytecode=_code(data["bytecode"]), runtime=_code(data["runtime"]))
    if keccak(artifact.runtime) != verifier_code_hash():
        raise ArtifactMissing(str(path), "its code is not the one that verifier.lock.json pins")
    return artifact


@cache
def verifier_code_hash() -> bytes:
    """keccak256 of the pinned verifier's runtime code, 32 bytes."""
    return _code(_read(ROOT / "verifier.lock.json")["runtimeKeccak256"])


@cache
def market_errors() -> dict[bytes, ABIError]:
    """Custom errors of the market, and of the verifier and tokens that it calls, by their 4-byte selector.

    Where the market and the verifier have the same, its arguments go by the market's names.
    """
    return errors_of([*update_argument().abi, *market().abi, *_TOKEN_ERRORS])


def errors_of(abi: ABI) -> dict[bytes, ABIError]:
    """Custom errors of an interface by their 4-byte selector."""
    entries = [entry for entry in abi if entry["type"] == "error"]
    # An error's selector is built like a function's.
    return {function_abi_to_4byte_selector(cast(Any, {**entry, "type": "function"})): entry for entry in entries}


def _read(path: Path) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise ArtifactMissing(str(path.relative_to(ROOT.parent)), type(error).__name__) from error


def _code(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
