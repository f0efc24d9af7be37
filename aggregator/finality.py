"""Where the chain is, and up to where it is settled. What comes after that block may be taken back, and is looked at
again. All that a contract says follows from the latest block's hash: while that is the same, little is asked anew.

The block is kept: a chain that no longer has it was reorganised deeper than the operator expected, and what was built
on it (commitments, proofs, money) cannot be put right by sending things again.
"""

import random
import threading
import time
from typing import NamedTuple

from aggregator.errors import ChainBehind, DeepReorg
from aggregator.records import Checkpoint
from aggregator.state import State
from contracts.bindings import BlockHead, Chain

DEPTH_BLOCKS = 12
"""Default on chains that hold value; local ones do not reorganise by themselves."""
_TRUSTED_SECONDS = 30.0


class Head(NamedTuple):
    """Attributes:
    latest: number of the latest block, with its hash and time. final: of the latest one that is deep enough.
    """

    latest: int
    final: int
    hash: bytes
    seconds: int


class Seen:
    """What was read of the chain, and of which head. It is read again with another head, and after a while in any case:
    behind one address may be several nodes, and the one that was read need not have had that head yet.
    """

    def __init__(self) -> None:
        self._hash = b""
        self._at = float("-inf")
        self._trusted_seconds = random.uniform(1, 2) * _TRUSTED_SECONDS  # noqa: S311 - not all at the same moment

    def is_of(self, head: Head) -> bool:
        """Whether there is no need to read again."""
        return head.hash == self._hash and time.monotonic() - self._at < self._trusted_seconds

    def note(self, head: Head, began_at: float) -> None:
        """Everything was read, from `began_at` (monotonic) on."""
        self._hash, self._at = head.hash, began_at

    def forget(self) -> None:
        """To be read again at the next look."""
        self._hash = b""


class Finality:
    """One for the process. Blocks on the chain; safe to share between threads.

    Args:
        depth_blocks: how many blocks a reorganisation may take back.
    """

    def __init__(self, chain: Chain, state: State, depth_blocks: int | None) -> None:
        self._chain = chain
        self._state = state
        self.depth_blocks = (0 if chain.is_local else DEPTH_BLOCKS) if depth_blocks is None else depth_blocks
        self._checkpoint = state.checkpoint(self.depth_blocks)
        self._lock = threading.Lock()
        self._head: Head | None = None
        self._looked_at = float("-inf")
        self._hashes: dict[int, bytes | None] = {}
        self._hashes_of = Seen()

    def look(self, within_seconds: float = 0.0) -> Head:
        """Where the chain is now, or was at most so long ago. Callers at the same time share a look.

        Raises:
            DeepReorg: it has lost a block that was final.
            ChainBehind: this node does not have that block yet.
        """
        asked_at = time.monotonic()
        with self._lock:
            if self._head is not None and self._looked_at >= asked_at - within_seconds:
                return self._head
            began_at, block = time.monotonic(), self._chain.head()
            if self._head is None or block.hash != self._head.hash:
                self._head = self._followed(block)
            if not self._hashes_of.is_of(self._head):
                self._hashes.clear()
                self._hashes_of.note(self._head, began_at)
            self._looked_at = began_at
            return self._head

    def hash_of(self, number: int) -> bytes | None:
        """Hash of a block, asked once for each head; None if the chain is not that long."""
        with self._lock:
            if number not in self._hashes:
                self._hashes[number] = self._chain.block_hash(number)
            return self._hashes[number]

    def _followed(self, block: BlockHead) -> Head:
        if self._checkpoint is not None:
            self._require_kept(self._checkpoint)
        final = max(block.number - self.depth_blocks, 0)
        if self._checkpoint is None or final > self._checkpoint.number:
            checkpoint = Checkpoint(depth_blocks=self.depth_blocks, number=final, hash=self._final_hash(final))
            self._state.put_checkpoint(checkpoint)
            self._checkpoint = checkpoint
        return Head(block.number, self._checkpoint.number, block.hash, block.seconds)

    def _require_kept(self, checkpoint: Checkpoint) -> None:
        if self._final_hash(checkpoint.number) != checkpoint.hash:
            raise DeepReorg(checkpoint.number, self.depth_blocks)

    def _final_hash(self, number: int) -> bytes:
        found = self._chain.block_hash(number)
        if found is None:
            raise ChainBehind(f"the node does not have block {number}, which it or another one had before")
        return found
