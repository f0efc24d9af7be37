"""Up to where the chain is settled. What comes after that block may be taken back, and is looked at again.

The block is kept: a chain that no longer has it was reorganised deeper than the operator expected, and what was built
on it (commitments, proofs, money) cannot be put right by sending things again.
"""

import threading
from typing import NamedTuple

from aggregator.errors import ChainBehind, DeepReorg
from aggregator.records import Checkpoint
from aggregator.state import State
from contracts.bindings import Chain

DEPTH_BLOCKS = 12
"""Default on chains that hold value; local ones do not reorganise by themselves."""


class Head(NamedTuple):
    """Attributes:
    latest: number of the latest block. final: of the latest one that is deep enough.
    """

    latest: int
    final: int


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

    def look(self) -> Head:
        """Where the chain is now.

        Raises:
            DeepReorg: it has lost a block that was final.
            ChainBehind: this node does not have that block yet.
        """
        with self._lock:
            latest = self._chain.block_number()
            if self._checkpoint is not None:
                self._require_kept(self._checkpoint)
            final = max(latest - self.depth_blocks, 0)
            if self._checkpoint is None or final > self._checkpoint.number:
                self._checkpoint = Checkpoint(depth_blocks=self.depth_blocks, number=final, hash=self._hash_of(final))
                self._state.put_checkpoint(self._checkpoint)
            return Head(latest, self._checkpoint.number)

    def _require_kept(self, checkpoint: Checkpoint) -> None:
        if self._hash_of(checkpoint.number) != checkpoint.hash:
            raise DeepReorg(checkpoint.number, self.depth_blocks)

    def _hash_of(self, number: int) -> bytes:
        found = self._chain.block_hash(number)
        if found is None:
            raise ChainBehind(f"the node does not have block {number}, which it or another one had before")
        return found
