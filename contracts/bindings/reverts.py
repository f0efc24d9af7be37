"""Revert data to names: the same on every chain that hands the data out."""

from collections.abc import Mapping
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_typing import ABIComponent, ABIError
from eth_utils.abi import get_abi_input_types

from contracts.bindings.records import RoundState, TaskState

_ERROR = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_ENUMS = {
    "enum TaskState": [state.name.lower() for state in TaskState],
    "enum RoundState": [state.name.lower() for state in RoundState],
}


def decode_revert(data: bytes, errors: Mapping[bytes, ABIError]) -> tuple[str, dict[str, Any]]:
    """Name and arguments of an error.

    Args:
        data: what the contract reverted with; empty for a bare revert or for running out of gas.
        errors: known custom errors by 4-byte selector.
    """
    selector, body = data[:4], data[4:]
    try:
        if selector == _ERROR:
            return "Error", {"reason": decode(["string"], body)[0]}
        if selector == _PANIC:
            return "Panic", {"code": decode(["uint256"], body)[0]}
        if selector in errors:
            return _custom(errors[selector], body)
    except DecodingError:
        pass
    return "unknown", {"data": "0x" + data.hex()}


def _custom(error: ABIError, body: bytes) -> tuple[str, dict[str, Any]]:
    values = decode(get_abi_input_types(error), body)
    inputs = zip(error.get("inputs", []), values, strict=True)
    return error["name"], {entry["name"]: _readable(entry, value) for entry, value in inputs}


def _readable(entry: ABIComponent, value: Any) -> Any:
    names = _ENUMS.get(str(entry.get("internalType")))
    if names is not None:
        return names[value] if value < len(names) else value
    if not isinstance(value, bytes):
        return value
    # The contract names fields by left-aligned ASCII in a word.
    return value.rstrip(b"\0").decode("ascii", "replace") if entry["name"] == "field" else "0x" + value.hex()
