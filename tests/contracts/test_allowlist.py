"""Merkle trees as OpenZeppelin's library makes them."""

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from contracts.bindings import ValueOutOfRange
from contracts.bindings.allowlist import OPEN_TO_ALL, proof_of, root_of, tree

ADDRESSES = st.lists(st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()), min_size=1, max_size=20)


def test_the_example_of_openzeppelins_library() -> None:
    """The values and the root that its README has."""
    rows = [("0x" + "11" * 20, 5 * 10**18), ("0x" + "22" * 20, 25 * 10**17)]
    leaves = [keccak(keccak(encode(["address", "uint256"], row))) for row in rows]
    assert tree(leaves)[0].hex() == "d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77"


@given(addresses=ADDRESSES)
def test_every_member_has_a_proof(addresses: list[str]) -> None:
    for member in addresses:
        node = keccak(keccak(encode(["address"], [member])))
        for sibling in proof_of(addresses, member):
            node = keccak(min(node, sibling) + max(node, sibling))
        assert node == root_of(addresses)


@given(addresses=ADDRESSES)
def test_order_and_repetition_do_not_matter(addresses: list[str]) -> None:
    assert root_of([*reversed(addresses), addresses[0]]) == root_of(addresses)


def test_no_list_is_open_to_all() -> None:
    assert root_of([]) == OPEN_TO_ALL
    assert proof_of([], "0x" + "11" * 20) == ()


def test_strangers_and_what_is_no_address() -> None:
    with pytest.raises(ValueOutOfRange, match="on the list") as caught:
        proof_of(["0x" + "11" * 20], "0x" + "22" * 20)
    assert caught.value.field == "allowed"
    with pytest.raises(ValueOutOfRange):
        root_of(["0x12"])
