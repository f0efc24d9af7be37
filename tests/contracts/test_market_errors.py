"""Every custom error of the compiled contracts has its class, and arrives as it."""

from typing import Any, get_type_hints

import pytest
from eth_abi.abi import encode
from eth_typing import ABIError

from contracts.bindings import TransactionReverted, artifacts
from contracts.bindings.market_errors import MarketError, reverted, snake_case
from contracts.bindings.reverts import decode_revert

ERRORS = artifacts.market_errors()
BUILT = {(kind._solidity_name, *kind.__annotations__): kind for kind in MarketError.__subclasses__()}
TOKENS = {"ERC20InsufficientAllowance", "ERC20InsufficientBalance"}


def key(entry: ABIError) -> tuple[str, ...]:
    """Name and arguments, as a class has them."""
    return (entry["name"], *(snake_case(component["name"]) for component in entry["inputs"]))


EXAMPLES: dict[str, Any] = {"address": "0x" + "ab" * 20, "bytes32": b"slots".ljust(32, b"\0"), "string": "text"}


def test_there_is_a_class_for_each_and_no_other() -> None:
    compiled = [*artifacts.market().abi, *artifacts.update_argument().abi, *artifacts.verifier().abi]
    names = {entry["name"] for entry in compiled if entry["type"] == "error"}
    assert names == {name for name, *_ in BUILT} - TOKENS
    assert {key(entry) for entry in ERRORS.values()} == set(BUILT)


@pytest.mark.parametrize(("selector", "entry"), ERRORS.items(), ids=[entry["name"] for entry in ERRORS.values()])
def test_each_decodes_to_its_class(selector: bytes, entry: ABIError) -> None:
    types = [component["type"] for component in entry["inputs"]]
    values = [EXAMPLES.get(kind, 1) for kind in types]
    error = reverted("call", *decode_revert(selector + encode(types, values), ERRORS), "0xhash")

    kind = BUILT[key(entry)]
    assert type(error) is kind
    assert isinstance(error, TransactionReverted)
    assert (error.function, error.error_name, error.tx_hash) == ("call", entry["name"], "0xhash")
    hints = get_type_hints(kind)
    hints = {name: hints[name] for name in kind.__annotations__}
    assert list(hints) == [snake_case(component["name"]) for component in entry["inputs"]]
    for component, name in zip(entry["inputs"], hints, strict=True):
        assert isinstance(getattr(error, name), hints[name])
        assert getattr(error, name) == error.error_args[component["name"]]


def test_what_is_not_the_markets_stays_plain() -> None:
    """Another contract's error may have the same name."""
    for name, args in (("Panic", {"code": 1}), ("Unheard", {}), ("InvalidPoint", {"reason": 1}), ("NotOwner", {})):
        error = reverted("call", name, args)
        assert type(error) is TransactionReverted
        assert error.error_name == name
