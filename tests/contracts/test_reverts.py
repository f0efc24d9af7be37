"""Revert data, decoded."""

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from contracts.bindings import artifacts
from contracts.bindings.reverts import decode_revert


def custom(signature: str, types: list[str], values: list[object]) -> bytes:
    return keccak(signature.encode())[:4] + encode(types, values)


def test_custom_errors_have_names_and_arguments() -> None:
    data = custom("ZetaInDomain(uint256)", ["uint256"], [3])
    assert decode_revert(data, artifacts.market_errors()) == ("ZetaInDomain", {"zeta": 3})


def test_fields_and_states_are_readable() -> None:
    field = b"slots".ljust(32, b"\0")
    data = custom("FieldTooSmall(bytes32,uint256,uint256)", ["bytes32", "uint256", "uint256"], [field, 2, 3])
    assert decode_revert(data, artifacts.market_errors()) == (
        "FieldTooSmall",
        {"field": "slots", "value": 2, "minimum": 3},
    )
    data = custom("WrongTaskState(uint256,uint8,uint8)", ["uint256", "uint8", "uint8"], [1, 2, 3])
    assert decode_revert(data, artifacts.market_errors())[1] == {
        "taskId": 1,
        "required": "open",
        "actual": "closed",
    }
    data = custom("VkaMismatch(bytes32,bytes32)", ["bytes32", "bytes32"], [b"\1" * 32, b"\2" * 32])
    assert decode_revert(data, artifacts.market_errors())[1] == {
        "pinned": "0x" + "01" * 32,
        "given": "0x" + "02" * 32,
    }


def test_the_languages_own_errors() -> None:
    assert decode_revert(custom("Error(string)", ["string"], ["no"]), {}) == ("Error", {"reason": "no"})
    assert decode_revert(custom("Panic(uint256)", ["uint256"], [0x11]), {}) == ("Panic", {"code": 0x11})


def test_anything_else_is_unknown_but_kept() -> None:
    truncated = custom("ZetaInDomain(uint256)", ["uint256"], [3])[:20]
    for data in (b"", b"\x01", b"\xde\xad\xbe\xef\x00", truncated, bytes.fromhex("08c379a0")):
        assert decode_revert(data, artifacts.market_errors()) == ("unknown", {"data": "0x" + data.hex()})
