"""Allow-lists: the Merkle root that a task pins, and a member's proof.

The tree is that of OpenZeppelin's merkle-tree library ("standard-v1"), one address a leaf: leaves are
keccak256(keccak256(abi.encode(address))), sorted; a node is keccak256 of its two children in ascending order.
"""

from collections.abc import Iterable, Sequence

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from contracts.bindings.errors import ValueOutOfRange
from contracts.bindings.records import require_address

OPEN_TO_ALL = bytes(32)
"""The root of a task without an allow-list."""


def root_of(addresses: Iterable[str]) -> bytes:
    """The root of an allow-list, 32 bytes; an address that comes twice counts once. No addresses: OPEN_TO_ALL.

    Raises:
        ValueOutOfRange: an entry is no address.
    """
    leaves = _leaves(addresses)
    return tree(leaves)[0] if leaves else OPEN_TO_ALL


def proof_of(addresses: Iterable[str], member: str) -> tuple[bytes, ...]:
    """What `joinTask` asks of a member: the siblings from its leaf to the root. No addresses: no proof.

    Raises:
        ValueOutOfRange: `member` is not on the list.
    """
    leaves, leaf = _leaves(addresses), _leaf(member)
    if not leaves:
        return ()
    if leaf not in leaves:
        raise ValueOutOfRange("allowed", member, "it must be on the list")
    nodes = tree(leaves)
    at, proof = nodes.index(leaf, len(leaves) - 1), []
    while at:
        proof.append(nodes[at - 1 if at % 2 == 0 else at + 1])
        at = (at - 1) // 2
    return tuple(proof)


def tree(leaves: Sequence[bytes]) -> list[bytes]:
    """All nodes of the tree over one leaf or more: the root first, children of i at 2 i + 1 and 2 i + 2."""
    nodes = [b""] * (len(leaves) - 1) + sorted(leaves, reverse=True)
    for at in range(len(leaves) - 2, -1, -1):
        nodes[at] = keccak(b"".join(sorted(nodes[2 * at + 1 : 2 * at + 3])))
    return nodes


def _leaves(addresses: Iterable[str]) -> list[bytes]:
    return sorted({_leaf(address) for address in addresses})


def _leaf(address: str) -> bytes:
    require_address("allowed", address)
    return keccak(keccak(encode(["address"], [to_checksum_address(address)])))
