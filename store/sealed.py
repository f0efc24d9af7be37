"""Sealed objects: bytes that only their receivers can read (docs/encryption.md).

    header   magic[8] size_bytes[8] object_id[32] context[32] receivers[1] wrapped_key[101]...
    chunk    AES-256-GCM of 64 KiB, the last one of what is left, each with its tag of 16 bytes

A chunk's nonce is its index and whether it is the last; its associated data is the header's digest. So a chunk fits one
place of one object, and no header but its own.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address

from store.errors import ForgedChunk, MalformedSeal, NotAReceiver, TruncatedSeal, WrongContext, WrongKey
from store.keywrap import KEY_BYTES, OBJECT_ID_BYTES, TAG_BYTES, WRAPPED_KEY_BYTES, Receiver, WrappedKey, object_id
from store.keywrap import unwrap as unwrap_key
from store.keywrap import wrap as wrap_key

MAGIC = b"MERITSL1"
CHUNK_BYTES = 64 * 1024
CONTEXT_BYTES = 32
MAX_RECEIVERS = 16
MAX_PLAIN_BYTES = 1 << 40

_SIZE_BYTES = 8
_FIXED_BYTES = len(MAGIC) + _SIZE_BYTES + OBJECT_ID_BYTES + CONTEXT_BYTES + 1
_INDEX_BYTES = 11


@dataclass(frozen=True, kw_only=True)
class Header:
    """What stands before the chunks, readable by all.

    Attributes:
        size_bytes: of the plain object.
        object_id: follows from its key; see `keywrap.object_id`.
        context: 32 bytes that say what the object is for; whoever opens it must expect the same.
        wrapped_keys: for the first receivers. Later ones get theirs apart from the object, which stays as it is.
    """

    size_bytes: int
    object_id: bytes
    context: bytes
    wrapped_keys: tuple[WrappedKey, ...]

    def to_bytes(self) -> bytes:
        size, count = self.size_bytes.to_bytes(_SIZE_BYTES, "big"), bytes([len(self.wrapped_keys)])
        wrapped = b"".join(wrapped.to_bytes() for wrapped in self.wrapped_keys)
        return MAGIC + size + self.object_id + self.context + count + wrapped

    def wrapped_for(self, account: LocalAccount) -> WrappedKey:
        """The wrapped key for this account (NotAReceiver if there is none)."""
        address = to_canonical_address(account.address)
        found = next((wrapped for wrapped in self.wrapped_keys if wrapped.address == address), None)
        if found is None:
            raise NotAReceiver(account.address)
        return found


def header_size_bytes(receivers: int) -> int:
    return _FIXED_BYTES + receivers * WRAPPED_KEY_BYTES


def sealed_size_bytes(size_bytes: int, receivers: int) -> int:
    """The one size that an object of this size has when it is sealed."""
    return header_size_bytes(receivers) + size_bytes + _chunk_count(size_bytes) * TAG_BYTES


def seal(data: bytes, *, receivers: Sequence[Receiver], context: bytes) -> bytes:
    """The bytes, sealed under a fresh key.

    Raises:
        MalformedSeal: too many receivers, the same one twice, or too many bytes.
    """
    return _sealed_whole(data, secrets.token_bytes(KEY_BYTES), receivers, context)


def seal_for(data: bytes, receiver: Receiver, *, context: bytes) -> tuple[bytes, WrappedKey]:
    """The bytes, sealed under a fresh key that is not in the object: whoever has only that cannot open it, not even the
    receiver, who is handed the wrapped key some other way.

    Raises:
        MalformedSeal: too many bytes.
    """
    key = secrets.token_bytes(KEY_BYTES)
    return _sealed_whole(data, key, (), context), wrap_key(key, receiver)


def seal_pieces(
    pieces: Iterable[bytes], size_bytes: int, *, receivers: Sequence[Receiver], context: bytes
) -> Iterator[bytes]:
    """As `seal`, a chunk at a time. TruncatedSeal if the pieces have another size than was said."""
    yield from _sealed(pieces, size_bytes, secrets.token_bytes(KEY_BYTES), receivers, context)


def _sealed(
    pieces: Iterable[bytes], size_bytes: int, key: bytes, receivers: Sequence[Receiver], context: bytes
) -> Iterator[bytes]:
    """Under a key that seals nothing else."""
    header = _header(size_bytes, key, receivers, context)
    yield header
    cipher, digest, taken = AESGCM(key), hashlib.sha256(header).digest(), 0
    last = _chunk_count(size_bytes) - 1
    for index, chunk in enumerate(_regrouped(pieces, CHUNK_BYTES)):
        taken += len(chunk)
        if index > last:
            break
        yield cipher.encrypt(_nonce(index, index == last), chunk, digest)
    if taken != size_bytes:
        raise TruncatedSeal(size_bytes, taken)


def _sealed_whole(data: bytes, key: bytes, receivers: Sequence[Receiver], context: bytes) -> bytes:
    """As `_sealed`, into the memory that is returned: half of the time is otherwise spent on copies."""
    header = _header(len(data), key, receivers, context)
    cipher, digest = AESGCM(key), hashlib.sha256(header).digest()
    last, source = _chunk_count(len(data)) - 1, memoryview(data)
    whole = BytesIO(bytes(sealed_size_bytes(len(data), len(receivers))))
    with whole.getbuffer() as view:
        view[: len(header)] = header
        at = len(header)
        for index in range(last + 1):
            chunk = source[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
            end = at + len(chunk) + TAG_BYTES
            cipher.encrypt_into(_nonce(index, index == last), chunk, digest, view[at:end])
            at = end
    return whole.getvalue()


def _header(size_bytes: int, key: bytes, receivers: Sequence[Receiver], context: bytes) -> bytes:
    _check(size_bytes, context, [receiver.address for receiver in receivers])
    wrapped = tuple(wrap_key(key, receiver) for receiver in receivers)
    return Header(size_bytes=size_bytes, object_id=object_id(key), context=context, wrapped_keys=wrapped).to_bytes()


def unseal(data: bytes, account: LocalAccount, *, context: bytes, wrapped: WrappedKey | None = None) -> bytes:
    """The plain bytes, all or none of them.

    Args:
        wrapped: the account's key, if it was given one later; otherwise it is in the header.
    Raises:
        MalformedSeal, WrongContext, NotAReceiver, WrongKey, TruncatedSeal, ForgedChunk.
    """
    source, header, key = _opened([data], account, context, wrapped)
    return _open_whole(source, header, key)


def unseal_pieces(
    pieces: Iterable[bytes], account: LocalAccount, *, context: bytes, wrapped: WrappedKey | None = None
) -> Iterator[bytes]:
    """As `unseal`, a chunk at a time: each is right when it comes out, but only the end says that all of them came.

    Write them where they can be forgotten (see `Store.draft`).
    """
    yield from _open_chunks(*_opened(pieces, account, context, wrapped))


def _opened(
    pieces: Iterable[bytes], account: LocalAccount, context: bytes, wrapped: WrappedKey | None
) -> "tuple[_Source, Header, bytes]":
    """The chunks' source, and their key."""
    source = _Source(pieces)
    header = read_header(source)
    _require_context(header, context)
    return source, header, unwrap_key(wrapped or header.wrapped_for(account), account, header.object_id)


def key_of(data: bytes, account: LocalAccount, *, context: bytes) -> bytes:
    """The key of a sealed object that this account can read. Needs the header alone.

    Raises:
        MalformedSeal, WrongContext, NotAReceiver, WrongKey.
    """
    header = read_header(_Source([data]))
    _require_context(header, context)
    return unwrap_key(header.wrapped_for(account), account, header.object_id)


def open_with_key(data: bytes, key: bytes) -> bytes:
    """The plain bytes of an object whose key is at hand.

    Raises:
        MalformedSeal, WrongKey, TruncatedSeal, ForgedChunk.
    """
    source = _Source([data])
    header = read_header(source)
    if object_id(key) != header.object_id:
        raise WrongKey("key: it is another object's")
    return _open_whole(source, header, key)


def share(data: bytes, account: LocalAccount, receiver: Receiver, *, context: bytes) -> WrappedKey:
    """The key of a sealed object for one more receiver; the object stays as it is. Needs the header alone.

    Raises:
        MalformedSeal, WrongContext, NotAReceiver, WrongKey.
    """
    return wrap_key(key_of(data, account, context=context), receiver)


class _Source:
    """Pieces of any size, taken in lengths that are asked for; nothing is copied that lies within one piece."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._pending = memoryview(b"")

    @property
    def at_hand_bytes(self) -> int:
        """How much of the piece under way is left."""
        return len(self._pending)

    def take(self, length: int) -> memoryview:
        """The next bytes; fewer at the end."""
        if len(self._pending) < length:
            self._refill(length)
        taken, self._pending = self._pending[:length], self._pending[length:]
        return taken

    def _refill(self, length: int) -> None:
        gathered = [self._pending]
        missing = length - len(self._pending)
        while missing > 0 and (piece := next(self._pieces, None)) is not None:
            gathered.append(memoryview(piece))
            missing -= len(piece)
        self._pending = gathered[-1] if not len(gathered[0]) and len(gathered) == 2 else memoryview(b"".join(gathered))


def read_header_of(data: bytes) -> Header:
    """What stands before the chunks (MalformedSeal, TruncatedSeal)."""
    return read_header(_Source([data]))


def read_header(source: _Source) -> Header:
    fixed = bytes(source.take(_FIXED_BYTES))
    if len(fixed) < _FIXED_BYTES or not fixed.startswith(MAGIC):
        raise MalformedSeal("header", "another one", f"a sealed object starts with {MAGIC.decode()}")
    at = len(MAGIC)
    size_bytes = int.from_bytes(fixed[at : at + _SIZE_BYTES], "big")
    at += _SIZE_BYTES
    identity, context = fixed[at : at + OBJECT_ID_BYTES], fixed[at + OBJECT_ID_BYTES : -1]
    count = fixed[-1]
    if count > MAX_RECEIVERS:
        raise MalformedSeal("receivers", count, f"there are at most {MAX_RECEIVERS}")
    rest = bytes(source.take(count * WRAPPED_KEY_BYTES))
    if len(rest) != count * WRAPPED_KEY_BYTES:
        raise TruncatedSeal(count * WRAPPED_KEY_BYTES, len(rest))
    wrapped = tuple(
        WrappedKey.from_bytes(rest[i : i + WRAPPED_KEY_BYTES]) for i in range(0, len(rest), WRAPPED_KEY_BYTES)
    )
    _check(size_bytes, context, [w.address for w in wrapped])
    return Header(size_bytes=size_bytes, object_id=identity, context=context, wrapped_keys=wrapped)


def _open_chunks(source: _Source, header: Header, key: bytes) -> Iterator[bytes]:
    cipher, digest = AESGCM(key), hashlib.sha256(header.to_bytes()).digest()
    for index, nonce, chunk in _chunks(source, header):
        try:
            yield cipher.decrypt(nonce, chunk, digest)
        except InvalidTag:
            raise ForgedChunk(index) from None


def _open_whole(source: _Source, header: Header, key: bytes) -> bytes:
    """As `_open_chunks`, from one piece, into the memory that is returned."""
    cipher, digest, at = AESGCM(key), hashlib.sha256(header.to_bytes()).digest(), 0
    # Whatever the header says, there is no more than came.
    whole = BytesIO(bytes(min(header.size_bytes, source.at_hand_bytes)))
    with whole.getbuffer() as view:
        for index, nonce, chunk in _chunks(source, header):
            end = at + len(chunk) - TAG_BYTES
            try:
                cipher.decrypt_into(nonce, chunk, digest, view[at:end])
            except InvalidTag:
                raise ForgedChunk(index) from None
            at = end
    return whole.getvalue()


def _chunks(source: _Source, header: Header) -> Iterator[tuple[int, bytes, memoryview]]:
    """Index, nonce and sealed bytes of all chunks, and nothing behind them."""
    last = _chunk_count(header.size_bytes) - 1
    for index in range(last + 1):
        size = CHUNK_BYTES if index < last else header.size_bytes - last * CHUNK_BYTES
        chunk = source.take(size + TAG_BYTES)
        if len(chunk) < size + TAG_BYTES:
            raise TruncatedSeal(header.size_bytes, index * CHUNK_BYTES + max(len(chunk) - TAG_BYTES, 0))
        yield index, _nonce(index, index == last), chunk
    if source.take(1):
        raise MalformedSeal("size_bytes", "more bytes", f"it says {header.size_bytes}")


def _require_context(header: Header, context: bytes) -> None:
    if header.context != context:
        raise WrongContext(context.hex(), header.context.hex())


def _check(size_bytes: int, context: bytes, receivers: Sequence[object]) -> None:
    if not 0 <= size_bytes <= MAX_PLAIN_BYTES:
        raise MalformedSeal("size_bytes", size_bytes, f"it must lie in [0, {MAX_PLAIN_BYTES}]")
    if len(context) != CONTEXT_BYTES:
        raise MalformedSeal("context", f"{len(context)} bytes", f"it has {CONTEXT_BYTES}")
    if len(receivers) > MAX_RECEIVERS:
        raise MalformedSeal("receivers", len(receivers), f"there are at most {MAX_RECEIVERS}")
    if len(set(receivers)) != len(receivers):
        raise MalformedSeal("receivers", "one twice", "each is there once")


def _chunk_count(size_bytes: int) -> int:
    """An empty object has one chunk, too: it is what says that it is empty."""
    return max(1, -(-size_bytes // CHUNK_BYTES))


def _nonce(index: int, is_last: bool) -> bytes:
    return index.to_bytes(_INDEX_BYTES, "big") + bytes([is_last])


def _regrouped(pieces: Iterable[bytes], size_bytes: int) -> Iterator[memoryview]:
    """Pieces of any size in chunks of one; at least one chunk."""
    source, count = _Source(pieces), 0
    while (chunk := source.take(size_bytes)) or not count:
        yield chunk
        count += 1
