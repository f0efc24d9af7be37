"""A trainer: checks a task's terms, joins, sends one signed update a round, and collects what it is owed.

The aggregator is believed in nothing: models are checked against the chain's commitment, receipts against its key,
terms against what follows from the rule and the sizes.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from eth_account.signers.local import LocalAccount
from merit.v1.rounds_pb2 import RoundStep

from circuits.bn254 import G1Point
from circuits.commitment import draw_for_round
from circuits.fixedpoint import dequantize, quantize
from circuits.model import denominator
from circuits.prover import Prover
from clients.errors import AggregatorUnreachable
from clients.follow import follow
from clients.local_training import LocalTraining, learning_rate, trained_change
from clients.memory import Memory, Pending
from clients.sending import MISSED, PASSING, sealed, send_update
from clients.service import AggregatorClient
from contracts.bindings import Market, RoundState, TaskConfig, TaskState, TaskView, TransactionReverted
from process.logs import Log, get
from protocol.refusals import UnknownModel
from protocol.terms import Derived, check_genesis, check_membership, check_terms, open_model
from store.cid import to_text
from store.objects import encode_update, model_size_limit_bytes


class Trainer:
    """One trainer of one task.

    Args:
        market: the market on its chain.
        task_id: the task.
        aggregator: connection to the task's aggregator.
        account: signs updates and transactions.
        train: local training; called in a thread.
        prover: derives the keys that the terms are checked against; blocks for seconds.
        directory: remembers updates that were signed, so that a restart sends the same.
        poll_seconds: how often the chain is looked at while nothing happens.
        allowed: addresses of those who may join, as the owner gave them; empty for a task that is open to all.
        max_stake_wei: most that the account is willing to post.
    """

    def __init__(
        self,
        *,
        market: Market,
        task_id: int,
        aggregator: AggregatorClient,
        account: LocalAccount,
        train: LocalTraining,
        prover: Prover,
        directory: Path,
        poll_seconds: float = 5,
        allowed: Sequence[str] = (),
        max_stake_wei: int = 0,
        log: Log | None = None,
    ) -> None:
        self._market = market
        self._task_id = task_id
        self._aggregator = aggregator
        self._account = account
        self._train = train
        self._prover = prover
        self._memory = Memory(directory)
        self._poll_seconds = poll_seconds
        self._allowed = tuple(allowed)
        self._max_stake_wei = max_stake_wei
        self._log = (log or get(role="trainer")).bind(task=task_id, trainer=account.address)
        self._terms: Derived | None = None

    async def run(self) -> int:
        """Takes part until the task is closed; returns what was paid out, in wei.

        Raises:
            UnacceptableTerms: the terms, or a model, are not what an honest task has.
            NotFinite: training produced NaN or infinity.
            InvalidTraining, InvalidReceipt, and what the chain and the aggregator raise.
        """
        await self.check()
        await self.join()
        following = asyncio.create_task(self._follow())
        guarding = asyncio.create_task(self._until_closed())
        try:
            await asyncio.wait({following, guarding}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await following
            await guarding
        finally:
            for task in (following, guarding):
                task.cancel()
        return await self.withdraw()

    async def check(self) -> Derived:
        """Compares the terms on chain, and the genesis model, with what follows from the rule and the sizes.

        Raises:
            UnacceptableTerms: naming the field.
            ValueOutOfRange: this account is not on its own allow-list.
        """
        view = await self._view()
        self._membership(view.config)
        terms = await asyncio.to_thread(check_terms, view.config, self._market.chain, self._prover)
        data = await self._download(0, view.config.dim, wait=True)
        await asyncio.to_thread(check_genesis, data, view.config, terms.srs)
        self._terms = terms
        self._log.info("trainer.accepted_terms", rule=view.config.rule_name, dim=view.config.dim)
        return terms

    async def join(self) -> None:
        """Joins on chain, and posts the task's stake, unless it has.

        Raises:
            UnacceptableTerms, ValueOutOfRange: see `check_membership`.
        """
        if await asyncio.to_thread(self._market.has_joined, self._task_id, self._account.address):
            return
        config = (await self._view()).config
        proof = self._membership(config)
        receipt = await asyncio.to_thread(self._market.join, self._account, self._task_id, proof)
        self._log.info("trainer.joined", gas=receipt["gasUsed"], stake_wei=str(config.stake_wei))

    async def withdraw(self) -> int:
        """Collects what the closed task owes; returns the amount in wei."""
        owed_wei, claimable = await asyncio.to_thread(self._market.credit, self._task_id, self._account.address)
        paid_wei = 0
        if owed_wei and claimable:
            paid_wei = await asyncio.to_thread(self._market.withdraw, self._account, self._task_id)
        self._log.info("trainer.withdrew", paid_wei=str(paid_wei))
        return paid_wei

    # ------------------------------------------------------------------ rounds

    async def _follow(self) -> None:
        """Takes part in each round that the aggregator announces."""
        async for report in follow(self._aggregator, self._task_id, self._log):
            if report.report.step != RoundStep.ROUND_STEP_COLLECTING:
                continue
            while True:
                if await self._tried(report.round):
                    break
                await asyncio.sleep(self._poll_seconds)

    async def _tried(self, round: int) -> bool:
        """Takes part in a round; False if the aggregator was out of reach, and it is worth another attempt."""
        try:
            await self._take_part(round)
        except (AggregatorUnreachable, *PASSING) as error:
            self._log.warning("trainer.cannot_send", round=round, reason=str(error))
            return False
        return True

    async def _take_part(self, round: int) -> None:
        view = await self._view()
        collects = view.state == TaskState.OPEN and view.round_state == RoundState.COLLECTING
        if not collects or view.current_round != round:
            return
        pending = await asyncio.to_thread(self._memory.pending, round)
        if pending is None:
            pending = await self._make_update(view, round)
        try:
            await self._send(view, round, pending)
        except MISSED as error:
            self._log.warning("trainer.missed_round", round=round, reason=error.message)

    async def _make_update(self, view: TaskView, round: int) -> Pending:
        """Trains from the round's model, and remembers the update before anyone sees it."""
        terms = self._checked_terms()
        statement, started_at = terms.statement, time.monotonic()
        data = await self._download(round, statement.dim)
        model = await asyncio.to_thread(open_model, data, statement.dim, G1Point(*view.model), terms.srs)
        start = dequantize(model.values, statement.fmt, denominator=denominator(statement.slots))
        change = await asyncio.to_thread(trained_change, self._train, start, round, learning_rate(view))
        quantized = quantize(change + await asyncio.to_thread(self._memory.residual, statement.dim), statement.fmt)
        column, point = await asyncio.to_thread(
            draw_for_round, quantized.values, statement.fmt, terms.srs, round=round, rounds=view.config.rounds
        )
        sealed_data = await sealed(
            encode_update(column, statement.fmt),
            market=self._market,
            aggregator=self._aggregator,
            view=view,
            round=round,
            sender=self._account.address,
        )
        pending = Pending(round=round, point=point, data=sealed_data)
        await asyncio.to_thread(self._memory.remember, pending, quantized.residual)
        self._log.info(
            "trainer.trained",
            round=round,
            learning_rate=learning_rate(view),
            clipped_share=quantized.clipped_share,
            largest=int(np.abs(quantized.values).max()),
            seconds=_seconds_since(started_at),
        )
        return pending

    async def _send(self, view: TaskView, round: int, pending: Pending) -> None:
        started_at = time.monotonic()
        receipt = await send_update(
            market=self._market,
            aggregator=self._aggregator,
            account=self._account,
            view=view,
            round=round,
            point=pending.point,
            data=pending.data,
        )
        await asyncio.to_thread(self._memory.keep_receipt, round, receipt.SerializeToString())
        self._log.info(
            "trainer.uploaded",
            round=round,
            cid=to_text(receipt.cid),
            bytes=len(pending.data),
            seconds=_seconds_since(started_at),
        )

    # ------------------------------------------------------------------- chain

    async def _until_closed(self) -> None:
        """Waits for the task's end, and ends a round that is overdue: its trainers are owed the aggregator's bond."""
        while (view := await self._view()).state != TaskState.CLOSED:
            clock = await asyncio.to_thread(self._market.chain.now_seconds)
            if view.state == TaskState.OPEN and max(clock, int(time.time())) > view.deadline_seconds:
                await self._expire(view.current_round)
            await asyncio.sleep(self._poll_seconds)

    async def _expire(self, round: int) -> None:
        # Somebody else may have been faster, or the chain's clock be behind: the next look will tell.
        with suppress(TransactionReverted):
            await asyncio.to_thread(self._market.expire_round, self._account, self._task_id, round)
            self._log.warning("trainer.expired_round", round=round)

    def _membership(self, config: TaskConfig) -> list[bytes]:
        return check_membership(config, self._account.address, allowed=self._allowed, max_stake_wei=self._max_stake_wei)

    async def _view(self) -> TaskView:
        return await asyncio.to_thread(self._market.task, self._task_id)

    async def _download(self, version: int, dim: int, *, wait: bool = False) -> bytes:
        while True:
            try:
                return await self._aggregator.download_model(
                    self._task_id, version, limit_bytes=model_size_limit_bytes(dim)
                )
            except UnknownModel:
                if not wait:
                    raise
                await asyncio.sleep(min(self._poll_seconds, 0.5))

    def _checked_terms(self) -> Derived:
        assert self._terms is not None, "check() comes first"
        return self._terms


def _seconds_since(started_at: float) -> float:
    return round(time.monotonic() - started_at, 3)
