"""Updates are sealed for their task's aggregator on their sender's machine, and stay so: what both ends agree on."""

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from circuits.fixedpoint import FixedPoint
from contracts.bindings import Domain
from store.keywrap import Receiver
from store.objects import update_size_bytes
from store.sealed import header_size_bytes, seal, sealed_size_bytes

RECEIVERS = 1
"""The aggregator. Others are given their keys apart from the object, which stays as it is."""
LEAST_RETENTION_SECONDS = 24 * 3600
"""No receipt promises to keep an update for less."""
HEADER_BYTES = header_size_bytes(RECEIVERS)


def update_context(domain: Domain, task_id: int, round: int, sender: str) -> bytes:
    """What a sealed update is for: it opens as no other task's, round's or sender's.

    keccak256(abi.encode("merit/v1/update", chainId, market, taskId, round, sender)).
    """
    types = ["string", "uint256", "address", "uint256", "uint32", "address"]
    addresses = to_checksum_address(domain.market), to_checksum_address(sender)
    return keccak(encode(types, ["merit/v1/update", domain.chain_id, addresses[0], task_id, round, addresses[1]]))


def sealed_update_size_bytes(dim: int, fmt: FixedPoint) -> int:
    """The one size of a sealed update."""
    return sealed_size_bytes(update_size_bytes(dim, fmt), RECEIVERS)


def seal_update(data: bytes, receiver: Receiver, context: bytes) -> bytes:
    """An update object's bytes as they travel and rest."""
    return seal(data, receivers=[receiver], context=context)
