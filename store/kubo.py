"""The store of an IPFS node (Kubo), through its RPC.

Objects are added with every parameter of the tree spelled out, so that they have the CIDs of the embedded store,
whatever the node's configuration says. What a holder keeps is pinned, and listed under /merit/HOLDER/CID of the node's
own file system (MFS): pins alone do not count who holds them.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from store.cid import CHUNK_BYTES, MAX_LINKS, CidBuilder, from_text, is_leaf, leaf_cid, root_of, to_text
from store.errors import CorruptContent, NotFound, StoreUnavailable, TooLarge
from store.interface import DEFAULT_MAX_OBJECT_BYTES, Draft, Store, require_cid, require_holder, require_range
from store.rpc import Refused, Rpc

TIMEOUT_SECONDS = 60.0
_ROOT = "/merit"
_BLOCKS_AT_ONCE = 100
_NO_FILE = "file does not exist"
_ABSENT = ("not found locally", "could not find")
# Of a node that asks others: nobody had it in the time there was.
_UNFOUND = (*_ABSENT, "context deadline exceeded")
# The decoders' names: a node of the object's tree is none any more.
_DAMAGED = ("proto: ", "protobuf: ")
_TREE = {
    "cid_version": "1",
    "raw_leaves": "true",
    "hash": "sha2-256",
    "chunker": f"size-{CHUNK_BYTES}",
    "max_file_links": str(MAX_LINKS),
    "trickle": "false",
}


class KuboStore(Store):
    """Bytes in an IPFS node. What the node lacks it looks for among its peers, so reading may take until the timeout.

    Args:
        url: http(s)://host:port of the node's RPC, which gives power over the node: never expose it.
        spool_directory: where drafts are written before they are sent; by default the system's temporary directory.
        max_object_bytes: the largest object taken or returned.
        timeout_seconds: how long the node may look for bytes that it lacks.
    """

    def __init__(
        self,
        url: str,
        *,
        spool_directory: Path | None = None,
        max_object_bytes: int = DEFAULT_MAX_OBJECT_BYTES,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.max_object_bytes = max_object_bytes
        self.drafts_directory = spool_directory or Path(tempfile.gettempdir())
        self.drafts_directory.mkdir(parents=True, exist_ok=True)
        self._rpc = Rpc(url, timeout_seconds=timeout_seconds)

    def check(self) -> None:
        """StoreUnavailable unless the node answers."""
        self._rpc.ask("version")

    def draft(self) -> Draft:
        return Draft(self.drafts_directory, self.max_object_bytes, self._keep)

    def replace(self, data: bytes) -> bytes:
        # A node does not write a block that it believes to have, nor remove one that is pinned.
        builder = CidBuilder()
        builder.update(data)
        with suppress(Refused):
            self._rpc.ask("pin/rm", to_text(builder.finish()))
        blocks = [to_text(cid) for cid in builder.blocks()]
        for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
            self._rpc.ask("block/rm", *blocks[start : start + _BLOCKS_AT_ONCE], force="true", quiet="true")
        return self.put(data)

    def has(self, cid: bytes) -> bool:
        try:
            found = self._rpc.ask("files/stat", f"/ipfs/{to_text(cid)}", with_local="true", offline="true")
        except Refused as error:
            if _says(error, _DAMAGED):
                return True
            # Anything else says nothing about the object: who believes it lost may make another in its place.
            if not _says(error, _ABSENT):
                raise
            return False
        return bool(found.get("Local", False))

    def get(self, cid: bytes) -> bytes:
        data, builder = bytearray(), CidBuilder()
        for piece in self._cat(cid):
            builder.update(piece)
            data += piece
            if len(data) > self.max_object_bytes:
                raise TooLarge(self.max_object_bytes)
        require_cid(cid, builder.finish())
        return bytes(data)

    def stream(self, cid: bytes, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        leaves, size_bytes = self._leaves(cid)
        end = require_range(start, length, size_bytes)
        first, last = start // CHUNK_BYTES, -(-end // CHUNK_BYTES)
        if start == end:
            return
        at = first * CHUNK_BYTES
        chunks = _chunks(self._cat(cid, offset=str(at), length=str(last * CHUNK_BYTES - at)))
        for leaf in leaves[first:last]:
            chunk = next(chunks, b"")
            if leaf_cid(chunk) != leaf:
                raise CorruptContent(to_text(cid), "something else in one of its chunks")
            if piece := chunk[max(start - at, 0) : end - at]:
                yield piece
            at += CHUNK_BYTES

    def pin(self, cid: bytes, holder: str) -> None:
        require_holder(holder)
        text = to_text(cid)
        with _about(text):
            self._rpc.ask("pin/add", text)
        if cid not in self.held(holder):
            with _about(text):
                self._rpc.ask("files/cp", f"/ipfs/{text}", f"{_ROOT}/{holder}/{text}", parents="true")
        self._rpc.ask("files/flush", f"{_ROOT}/{holder}")

    def unpin(self, cid: bytes, holder: str) -> None:
        if cid not in self.held(holder):
            return
        text = to_text(cid)
        # Nobody loses what it holds if this is interrupted: the pin goes last.
        self._rpc.ask("files/rm", f"{_ROOT}/{holder}/{text}", force="true")
        if not any(cid in self.held(other) for other in self._holders()):
            self._rpc.ask("pin/rm", text)

    def held(self, holder: str) -> set[bytes]:
        require_holder(holder)
        return {from_text(name) for name in self._names(f"{_ROOT}/{holder}")}

    def collect(self) -> int:
        """Lets the node remove everything that is not pinned, whoever added it; returns how many blocks."""
        return sum(1 for line in self._rpc.lines("repo/gc") if line.get("Key"))

    # ------------------------------------------------------------------ private

    def _keep(self, cid: bytes, path: Path, file: IO[bytes]) -> None:
        added = self._rpc.send("add", file, pin="false", quieter="true", **_TREE)
        if added.get("Hash") != to_text(cid):
            raise StoreUnavailable(f"add: the node made {added.get('Hash')!r} of {to_text(cid)}")

    def _cat(self, cid: bytes, **options: str) -> Iterator[bytes]:
        with _about(to_text(cid)):
            yield from self._rpc.read("cat", to_text(cid), **options)

    def _leaves(self, cid: bytes) -> tuple[list[bytes], int]:
        """The CIDs of an object's chunks, and its size, once they have been found to make its CID."""
        text = to_text(cid)
        try:
            with _about(text):
                size_bytes = int(self._rpc.ask("files/stat", f"/ipfs/{text}")["Size"])
                if size_bytes > self.max_object_bytes:
                    raise TooLarge(self.max_object_bytes)
                if is_leaf(cid):
                    return [cid], size_bytes
                refs = (from_text(line["Ref"]) for line in self._rpc.lines("refs", text, recursive="true"))
                leaves = [ref for ref in refs if is_leaf(ref)]
        except (KeyError, TypeError, ValueError) as error:
            raise StoreUnavailable(f"refs: the node's answer about {text} makes no sense ({error})") from error
        require_cid(cid, root_of(leaves, size_bytes))
        return leaves, size_bytes

    def _holders(self) -> list[str]:
        return self._names(_ROOT)

    def _names(self, directory: str) -> list[str]:
        try:
            return [str(entry["Name"]) for entry in self._rpc.ask("files/ls", directory).get("Entries") or []]
        except Refused as error:
            if _NO_FILE in str(error):
                return []
            raise
        except (AttributeError, KeyError, TypeError) as error:
            raise StoreUnavailable(
                f"files/ls: the node's answer about {directory} makes no sense ({error!r})"
            ) from error


@contextmanager
def _about(text: str) -> Iterator[None]:
    """NotFound, or CorruptContent, where that is what the node says of an object; any other word of it stays."""
    try:
        yield
    except Refused as error:
        if _says(error, _DAMAGED):
            raise CorruptContent(text, f"no tree of chunks ({error})") from error
        if _says(error, _UNFOUND):
            raise NotFound(text) from error
        raise


def _says(error: Refused, words: tuple[str, ...]) -> bool:
    return any(each in str(error) for each in words)


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces of any size as whole chunks; the last one is what is left."""
    pending = bytearray()
    for piece in pieces:
        pending += piece
        while len(pending) >= CHUNK_BYTES:
            yield bytes(pending[:CHUNK_BYTES])
            del pending[:CHUNK_BYTES]
    if pending:
        yield bytes(pending)
