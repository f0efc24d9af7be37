"""Keys of objects, wrapped for owners of Ethereum accounts: ECIES on secp256k1 (docs/encryption.md).

An account's public key is no secret, but its address is only a hash of it: whoever hands a key over is not believed,
for the key must hash to the address.
"""

from typing import NamedTuple

from coincurve import PrivateKey, PublicKey
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from store.errors import InvalidPublicKey, MalformedSeal, WrongKey

KEY_BYTES = 32
PUBLIC_KEY_BYTES = 33
ADDRESS_BYTES = 20
OBJECT_ID_BYTES = 32
TAG_BYTES = 16
WRAPPED_KEY_BYTES = ADDRESS_BYTES + PUBLIC_KEY_BYTES + KEY_BYTES + TAG_BYTES

_INFO = b"merit/v1/wrap"
# A wrapping key is used once, so its one nonce may be any.
_NONCE = bytes(12)


class Receiver:
    """Somebody who can be given a key: a public key, and the address that it hashes to.

    Args:
        public_key: 33 bytes, compressed.
    """

    def __init__(self, public_key: bytes) -> None:
        if len(public_key) != PUBLIC_KEY_BYTES:
            raise InvalidPublicKey(f"public_key: got {len(public_key)} bytes, but compressed it has {PUBLIC_KEY_BYTES}")
        try:
            self._key = PublicKey(public_key)
        except ValueError:
            raise InvalidPublicKey("public_key: it must be a point of secp256k1") from None
        self.public_key = public_key

    @property
    def address(self) -> ChecksumAddress:
        uncompressed = self._key.format(compressed=False)
        return to_checksum_address(keccak(uncompressed[1:])[-ADDRESS_BYTES:])

    @classmethod
    def of(cls, account: LocalAccount) -> "Receiver":
        """The receiver that an account of one's own is."""
        return cls(PrivateKey(bytes(account.key)).public_key.format())

    def require_address(self, address: str) -> "Receiver":
        """Itself, once its key has been found to be that address's (InvalidPublicKey otherwise)."""
        if self.address != to_checksum_address(address):
            raise InvalidPublicKey(f"public_key: it is {self.address}'s, not {address}'s")
        return self


class WrappedKey(NamedTuple):
    """An object's key, for one receiver.

    Attributes:
        address: the receiver's, 20 bytes.
        ephemeral: public key made for this wrap alone, 33 bytes.
        sealed: the key under a key that only the receiver can derive, with its tag.
    """

    address: bytes
    ephemeral: bytes
    sealed: bytes

    def to_bytes(self) -> bytes:
        return b"".join(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> "WrappedKey":
        """The inverse of `to_bytes` (MalformedSeal for another length)."""
        if len(data) != WRAPPED_KEY_BYTES:
            raise MalformedSeal("wrapped_key", f"{len(data)} bytes", f"it has {WRAPPED_KEY_BYTES}")
        end = ADDRESS_BYTES + PUBLIC_KEY_BYTES
        return cls(data[:ADDRESS_BYTES], data[ADDRESS_BYTES:end], data[end:])


def object_id(key: bytes) -> bytes:
    """What a key's object is called: it follows from the key alone, so one object has one key."""
    return HKDF(SHA256(), OBJECT_ID_BYTES, salt=None, info=b"merit/v1/object").derive(key)


def wrap(key: bytes, receiver: Receiver) -> WrappedKey:
    """The key of an object, readable by the receiver alone."""
    ephemeral = PrivateKey()
    point, identity = ephemeral.public_key.format(), object_id(key)
    secret = _derive(ephemeral.ecdh(receiver.public_key), point, receiver.public_key)
    address = to_canonical_address(receiver.address)
    return WrappedKey(address, point, AESGCM(secret).encrypt(_NONCE, key, identity + address))


def unwrap(wrapped: WrappedKey, account: LocalAccount, identity: bytes) -> bytes:
    """The key of the object with this id.

    Raises:
        WrongKey: it was not wrapped for this account, belongs to another object, or was tampered with.
    """
    private = PrivateKey(bytes(account.key))
    try:
        secret = _derive(private.ecdh(wrapped.ephemeral), wrapped.ephemeral, private.public_key.format())
        key = AESGCM(secret).decrypt(_NONCE, wrapped.sealed, identity + wrapped.address)
    except (ValueError, InvalidTag):
        raise WrongKey(f"wrapped_key: it does not open with the key of {account.address}") from None
    # Whoever knows an id could wrap another key under it: then receivers would read different things.
    if object_id(key) != identity:
        raise WrongKey("wrapped_key: it holds the key of another object")
    return key


def _derive(shared: bytes, ephemeral: bytes, receiver: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=_INFO + ephemeral + receiver).derive(shared)
