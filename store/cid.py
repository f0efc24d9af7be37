"""CIDv1 of a file, identical to `ipfs add --cid-version 1 --raw-leaves`.

The bytes are cut into chunks of 256 KiB, each a raw leaf. One leaf is its own root; more are gathered, 174 at a time,
under UnixFS nodes until one is left (a balanced tree: all leaves at one depth).

Formats: https://specs.ipfs.tech/unixfs/ and https://ipld.io/specs/codecs/dag-pb/spec/
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from multiformats import CID, multihash, varint

from store.errors import InvalidCid

CHUNK_BYTES = 256 * 1024
MAX_LINKS = 174
CID_BYTES = 36  # version, codec, hash function and digest length take one byte each, the digest 32

_BASE32 = "b"  # multibase's letter for it
_PADDING = "=" * (-CID_BYTES * 8 // 5 % 8)  # which multibase leaves out
_TEXT_CHARACTERS = 1 + -(-CID_BYTES * 8 // 5)

_UNIXFS_FILE = 2
_RAW = 0x55
_CODECS = ("raw", "dag-pb")
# Version 1, codec, SHA-256, 32 bytes: made once by the library, which takes a third of a millisecond for one CID. An
# object has many chunks, and an upload's CID is read and written a dozen times.
_PREFIXES = {codec: bytes(CID("base32", 1, codec, multihash.wrap(bytes(32), "sha2-256")))[:-32] for codec in _CODECS}


class _Node(NamedTuple):
    cid: bytes
    content_bytes: int  # of the file below this node
    tree_bytes: int  # of all blocks below and including this node


class CidBuilder:
    """The CID of bytes that arrive in pieces. Holds one chunk and 36 bytes a chunk, not the file."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._leaves: list[_Node] = []

    def update(self, data: bytes) -> None:
        """Takes the next bytes, any number of them."""
        view = memoryview(data)
        if self._pending:
            room = CHUNK_BYTES - len(self._pending)
            self._pending += view[:room]
            view = view[room:]
            if not view:
                return
            self._leaves.append(_leaf(self._pending))
            self._pending = bytearray()
        # Whole chunks are hashed where they are; the last one waits, for it may be the only one.
        while len(view) > CHUNK_BYTES:
            self._leaves.append(_leaf(view[:CHUNK_BYTES]))
            view = view[CHUNK_BYTES:]
        self._pending += view

    def finish(self) -> bytes:
        """The binary CID of everything taken so far."""
        return _root(self._nodes())

    def leaves(self) -> list[bytes]:
        """The CIDs of the chunks taken so far, in order."""
        return [node.cid for node in self._nodes()]

    def blocks(self) -> list[bytes]:
        """The CIDs of everything that the tree consists of: chunks, nodes and the root."""
        return [node.cid for level in _levels(self._nodes()) for node in level]

    def _nodes(self) -> list[_Node]:
        if self._pending or not self._leaves:
            return [*self._leaves, _leaf(bytes(self._pending))]
        return self._leaves


def cid_of(data: bytes) -> bytes:
    """The binary CIDv1 of a file with these bytes."""
    builder = CidBuilder()
    view = memoryview(data)
    for start in range(0, len(view), CHUNK_BYTES):
        builder.update(bytes(view[start : start + CHUNK_BYTES]))
    return builder.finish()


def leaf_cid(chunk: bytes) -> bytes:
    """The CID of one chunk."""
    return _leaf(chunk).cid


def is_leaf(cid: bytes) -> bool:
    """Whether a CID is a chunk's own, not a tree's."""
    return cid[1] == _RAW


def root_of(leaves: Sequence[bytes], size_bytes: int) -> bytes:
    """The CID of a file of this size, given its chunks' CIDs: so that a list of chunks need not be believed."""
    sizes = [min(CHUNK_BYTES, size_bytes - start) for start in range(0, max(size_bytes, 1), CHUNK_BYTES)]
    if len(sizes) != len(leaves):
        raise InvalidCid(f"leaves: got {len(leaves)}, but {size_bytes} bytes have {len(sizes)}")
    return _root([_Node(cid, size, size) for cid, size in zip(leaves, sizes, strict=True)])


def to_text(cid: bytes) -> str:
    """The CID as text: base32, starting with 'b'.

    Raises:
        InvalidCid: the bytes are no CID that this module makes.
    """
    if len(cid) != CID_BYTES or cid[:-32] not in _PREFIXES.values():
        raise InvalidCid(f"cid: got {cid[:64].hex()}, but it must be a CIDv1 of SHA-256, raw or dag-pb")
    return _BASE32 + base64.b32encode(cid).decode().lower().rstrip("=")


def from_text(text: str) -> bytes:
    """The inverse of `to_text`."""
    wrong = InvalidCid(f"cid: got {text[:128]!r}, but it must be a CIDv1 of SHA-256 in base32")
    if len(text) != _TEXT_CHARACTERS or not text.startswith(_BASE32):
        raise wrong
    try:
        cid = base64.b32decode(text[1:].upper() + _PADDING)
    except ValueError:
        raise wrong from None
    if to_text(cid) != text:
        raise wrong
    return cid


def _cid(codec: str, block: bytes | bytearray | memoryview) -> bytes:
    return _PREFIXES[codec] + hashlib.sha256(block).digest()


def _root(leaves: Sequence[_Node]) -> bytes:
    *_, (root,) = _levels(leaves)
    return root.cid


def _levels(nodes: Sequence[_Node]) -> Iterator[Sequence[_Node]]:
    """The tree from its leaves up to the root alone."""
    yield nodes
    while len(nodes) > 1:
        nodes = [_parent(nodes[i : i + MAX_LINKS]) for i in range(0, len(nodes), MAX_LINKS)]
        yield nodes


def _leaf(block: bytes | bytearray | memoryview) -> _Node:
    return _Node(_cid("raw", block), len(block), len(block))


def _parent(children: Sequence[_Node]) -> _Node:
    content_bytes = sum(child.content_bytes for child in children)
    block = _dag_pb(children, _unixfs_file(content_bytes, (child.content_bytes for child in children)))
    return _Node(_cid("dag-pb", block), content_bytes, len(block) + sum(child.tree_bytes for child in children))


def _unixfs_file(content_bytes: int, block_sizes: Iterable[int]) -> bytes:
    """UnixFS `Data`: 1 type, 3 filesize, 4 blocksizes."""
    sizes = b"".join(_integer(4, size) for size in block_sizes)
    return _integer(1, _UNIXFS_FILE) + _integer(3, content_bytes) + sizes


def _dag_pb(children: Sequence[_Node], data: bytes) -> bytes:
    """`PBNode`. Its canonical form has links (field 2) before data (field 1), which no protobuf library writes."""
    links = (_bytes(1, c.cid) + _bytes(2, b"") + _integer(3, c.tree_bytes) for c in children)
    return b"".join(_bytes(2, link) for link in links) + _bytes(1, data)


def _integer(field: int, value: int) -> bytes:
    return varint.encode(field << 3) + varint.encode(value)


def _bytes(field: int, value: bytes) -> bytes:
    return varint.encode(field << 3 | 2) + varint.encode(len(value)) + value
