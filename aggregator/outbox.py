"""A task's transactions. Each is durable before it is sent, so that a restart takes it up and sends no second one."""

import time
from collections.abc import Callable
from dataclasses import replace

from web3.types import TxReceipt

from aggregator.finality import Seen
from aggregator.records import Purpose, Transaction
from aggregator.tools import Tools, off_loop
from contracts.bindings import Journal, Signed, TransactionReverted


class Outbox:
    """Of one task."""

    def __init__(self, task_id: int, tools: Tools) -> None:
        self._task_id = task_id
        self._tools = tools
        self._log = tools.log.bind(task=task_id)
        self._seen = Seen()

    async def send(
        self, purpose: Purpose, round: int, call: Callable[[Journal], TxReceipt], harmless: tuple[str, ...] = ()
    ) -> TxReceipt | None:
        """The receipt; None if the chain refused for a reason that the caller finds in the chain's state.

        Args:
            harmless: names of the contract's errors that are such reasons.
        """
        try:
            receipt = await off_loop(call, _Kept(self._task_id, round, purpose, self._tools))
        except TransactionReverted as error:
            if error.error_name not in harmless:
                raise
            self._log.warning("transaction.refused", function=error.function, error=error.error_name)
            return None
        self._tools.boundary("chain.mined")
        await self.note(purpose, round, receipt)
        return receipt

    async def note(self, purpose: Purpose, round: int, receipt: TxReceipt) -> None:
        """Remembers what did it, and in which block: ours, or somebody else's."""
        tx_hash, state = bytes(receipt["transactionHash"]), self._tools.state
        kept = await off_loop(state.transaction, self._task_id, round, purpose)
        if kept is None or kept.hash != tx_hash:
            kept = Transaction(task_id=self._task_id, round=round, purpose=purpose, hash=tx_hash)
        if kept.block != receipt["blockNumber"]:
            await off_loop(state.put_transaction, replace(kept, block=receipt["blockNumber"]))
        self._seen.forget()  # a chain that goes back to the head that was looked at goes back behind this

    def is_deep(self, purpose: Purpose, round: int) -> bool:
        """Whether nothing takes a transaction back any more."""
        kept = self._tools.state.transaction(self._task_id, round, purpose)
        return kept is not None and kept.block is not None and kept.block <= self._tools.finality.look().final

    def taken_back(self, within_seconds: float = 0.0) -> list[Transaction]:
        """Those that had been mined and are not any more: a reorganisation left them out, or they failed in it.

        Args:
            within_seconds: how long ago the chain may have been looked at.
        """
        head, began_at = self._tools.finality.look(within_seconds), time.monotonic()
        if self._seen.is_of(head):
            return []
        state, gone = self._tools.state, []
        for kept in state.transactions(self._task_id, after_block=head.final):
            receipt = self._tools.chain.receipt(kept.hash)
            if receipt is None or receipt["status"] != 1:
                gone.append(kept)
            elif receipt["blockNumber"] != kept.block:
                state.put_transaction(replace(kept, block=receipt["blockNumber"]))
        if not gone:
            self._seen.note(head, began_at)
        return gone


class _Kept:
    """The journal of one purpose, as `Chain.send` wants it."""

    def __init__(self, task_id: int, round: int, purpose: Purpose, tools: Tools) -> None:
        self._key = (task_id, round, purpose)
        self._tools = tools

    def latest(self) -> Signed | None:
        kept = self._tools.state.transaction(*self._key)
        return Signed(kept.hash, kept.raw) if kept is not None and kept.raw else None

    def signed(self, transaction: Signed) -> None:
        task_id, round, purpose = self._key
        self._tools.state.put_transaction(
            Transaction(task_id=task_id, round=round, purpose=purpose, hash=transaction.hash, raw=transaction.raw)
        )

    def sent(self, transaction: Signed) -> None:
        task_id, round, purpose = self._key
        self._tools.log.info(
            "transaction.sent",
            task=task_id,
            round=round,
            purpose=purpose.name.lower(),
            nonce=transaction.nonce,
            transaction="0x" + transaction.hash.hex(),
        )
        self._tools.boundary("chain.sent")
