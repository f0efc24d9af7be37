"""What trainers and the aggregator sign, and what a proof is bound to: one chain and one market.

The domain is name "Meritproof", version "1", chain id and the market's address.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_typing import ChecksumAddress, Hash32
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

_NAME = "Meritproof"
# Half of secp256k1's order.
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_VERSION = "1"
_FIRST_V = 27


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Attributes:
    chain_id: of the chain. market: address of the market on it.
    """

    chain_id: int
    market: str


@dataclass(frozen=True, kw_only=True)
class UpdateCommitment:
    """A trainer's word that a point is its update of a round.

    Attributes:
        task_id, round: which round.
        point_x, point_y: the commitment.
        cid_digest: keccak256 of the CID's bytes, 32 bytes (see `cid_digest`).
    """

    task_id: int
    round: int
    point_x: int
    point_y: int
    cid_digest: bytes


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The aggregator's word that it holds a trainer's update, and until when.

    Attributes:
        trainer: address. received_at_seconds, stored_until_seconds: Unix time, 64 bits. The others as in
            UpdateCommitment.
    """

    task_id: int
    round: int
    trainer: str
    point_x: int
    point_y: int
    cid_digest: bytes
    received_at_seconds: int
    stored_until_seconds: int


@dataclass(frozen=True, kw_only=True)
class Call:
    """The word of whoever calls a service that it means this very call.

    Attributes:
        task_id, round: what the call is about; 0 where there is none yet.
        method: full name of the service's method.
        body_digest: keccak256 of the request's bytes as they are sent.
        nonce: 16 random bytes, for this one call. deadline_seconds: Unix time after which the call is void.
    """

    task_id: int
    round: int
    method: str
    body_digest: bytes
    nonce: bytes
    deadline_seconds: int


_COMMITMENT_FIELDS = (("pointX", "uint256"), ("pointY", "uint256"), ("cidDigest", "bytes32"))
_TYPES = {
    UpdateCommitment: (("taskId", "uint256"), ("round", "uint256"), *_COMMITMENT_FIELDS),
    Receipt: (
        ("taskId", "uint256"),
        ("round", "uint256"),
        ("trainer", "address"),
        *_COMMITMENT_FIELDS,
        ("receivedAtSeconds", "uint64"),
        ("storedUntilSeconds", "uint64"),
    ),
    Call: (
        ("taskId", "uint256"),
        ("round", "uint256"),
        ("method", "string"),
        ("bodyDigest", "bytes32"),
        ("nonce", "bytes16"),
        ("deadlineSeconds", "uint64"),
    ),
}
Message = UpdateCommitment | Receipt | Call


def cid_digest(cid: bytes) -> bytes:
    """keccak256 of a binary CID: what signatures carry in its place."""
    return keccak(cid)


def proof_context(domain: Domain, task_id: int, round: int) -> bytes:
    """What a round's update argument is bound to, 32 bytes: keccak256(abi.encode(chainId, market, taskId, round))."""
    types = ["uint256", "address", "uint256", "uint32"]
    return keccak(encode(types, [domain.chain_id, to_checksum_address(domain.market), task_id, round]))


def digest(domain: Domain, message: Message) -> bytes:
    """The 32 bytes that are signed; the market's `updateDigest` gives the same."""
    fields = _TYPES[type(message)]
    # The dataclasses list their fields in the order of the type; a string stands as its hash.
    pairs = zip(fields, (getattr(message, name) for name in message.__dataclass_fields__), strict=True)
    words = [("bytes32", keccak(text=value)) if kind == "string" else (kind, value) for (_, kind), value in pairs]
    body = encode([kind for kind, _ in words], [value for _, value in words])
    return keccak(b"\x19\x01" + _separator(domain) + keccak(_type_hash(type(message).__name__, fields) + body))


def sign_update(account: LocalAccount, domain: Domain, message: UpdateCommitment) -> bytes:
    """A trainer's 65-byte signature."""
    return _sign(account, domain, message)


def recover_update(domain: Domain, message: UpdateCommitment, signature: bytes) -> ChecksumAddress:
    """Who signed. Raises ValueError if the signature is malformed."""
    return _recover(domain, message, signature)


def sign_receipt(account: LocalAccount, domain: Domain, message: Receipt) -> bytes:
    """The aggregator's 65-byte signature."""
    return _sign(account, domain, message)


def recover_receipt(domain: Domain, message: Receipt, signature: bytes) -> ChecksumAddress:
    """Who signed. Raises ValueError if the signature is malformed."""
    return _recover(domain, message, signature)


def sign_call(account: LocalAccount, domain: Domain, message: Call) -> bytes:
    """The caller's 65-byte signature."""
    return _sign(account, domain, message)


def recover_call(domain: Domain, message: Call, signature: bytes) -> ChecksumAddress:
    """Who signed. Raises ValueError if the signature is malformed."""
    return _recover(domain, message, signature)


def _sign(account: LocalAccount, domain: Domain, message: Message) -> bytes:
    return bytes(account.unsafe_sign_hash(Hash32(digest(domain, message))).signature)


def _recover(domain: Domain, message: Message, signature: bytes) -> ChecksumAddress:
    if len(signature) != 65:
        raise ValueError(f"a signature has 65 bytes, not {len(signature)}")
    # Exactly what the contract takes; a library that recovers more would admit what the chain then refuses.
    if signature[64] - _FIRST_V not in (0, 1) or int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise ValueError("malformed signature: v must be 27 or 28, and s in the lower half of the order")
    try:
        parity = bytes([signature[64] - _FIRST_V])
        key = Signature(signature[:64] + parity).recover_public_key_from_msg_hash(digest(domain, message))
    except (BadSignature, ValidationError, EncodingError) as error:
        raise ValueError(f"malformed signature: {error}") from error
    return ChecksumAddress(key.to_checksum_address())


@lru_cache(maxsize=64)
def _separator(domain: Domain) -> bytes:
    names = ("string name", "string version", "uint256 chainId", "address verifyingContract")
    kind = keccak(text=f"EIP712Domain({','.join(names)})")
    words = [kind, keccak(text=_NAME), keccak(text=_VERSION), domain.chain_id, to_checksum_address(domain.market)]
    return keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], words))


@cache
def _type_hash(name: str, fields: tuple[tuple[str, str], ...]) -> bytes:
    return keccak(text=f"{name}({','.join(f'{kind} {field}' for field, kind in fields)})")
