"""A trainer: checks a task's terms, joins, sends one signed update a round, and collects what it is owed.

The aggregator is believed in nothing: models are checked against the chain's commitment, receipts against its key,
terms against what follows from the rule and the sizes.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from eth_account.signers.local import LocalAccount
from merit.v1.rounds_pb2 import RoundStep, WatchRoundsResponse

from circuits.bn254 import G1Point
from circuits.commitment import draw_for_round
from circuits.fixedpoint import dequantize, quantize
from circuits.model import denominator
from circuits.prover import Prover
from clients.errors import AggregatorUnreachable
from clients.follow import follow
from clients.local_training import LocalTraining, change_of, learning_rate
from clients.memory import Memory, Pending
from clients.parameters import Vector
from clients.sending import MISSED, check_receipt, commitment_of, may_pass, receiver_of, send_update
from clients.service import AggregatorClient
from contracts.bindings import NATIVE, Market, RoundState, TaskConfig, TaskState, TaskView, TransactionReverted, allow
from process.logs import Log, get
from protocol.calls import CallSigner
from protocol.refusals import LateUpdate, Refusal, UnknownModel
from protocol.sealing import seal_update, update_context
from protocol.terms import (
    Derived,
    UnacceptableTerms,
    check_genesis,
    check_membership,
    check_terms,
    open_model,
)
from store.cid import to_text
from store.keywrap import Receiver
from store.objects import encode_update, model_size_limit_bytes


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a settled round made of a trainer's update.

    Attributes:
        round: counted from 0.
        sent: whether the round holds an update of the trainer; if not, it was not accepted, and paid nothing.
        accepted: whether the rule kept it. score: by the rule. paid_wei: its share of the reward.
    """

    round: int
    sent: bool
    accepted: bool = False
    score: int = 0
    paid_wei: int = 0


class AsyncRound:
    """A round that collects, and waits for the trainer's update.

    Attributes:
        number: counted from 0.
        parameters: float64[dim], the global model that training starts from.
        learning_rate: the one that the task asks for; None where it leaves that to its trainers.
        missed: why the round did not take the update; None if it did, or nothing was sent yet.
    """

    def __init__(self, trainer: "AsyncTrainer", view: TaskView, parameters: Vector) -> None:
        self._trainer = trainer
        self.number = view.current_round
        self.parameters = parameters
        self.learning_rate = learning_rate(view)
        self.missed: Exception | None = None
        self.is_sent = False

    async def submit(self, parameters: Vector) -> bool:
        """Sends what the parameters float[dim] have become by local training; whether the round took it.

        Raises:
            InvalidTraining: they are not the model's float vector.
            NotFinite: an entry is NaN or infinite.
        """
        return await self.submit_change(change_of(self.parameters, parameters))

    async def submit_change(self, change: Vector) -> bool:
        """Sends a change float64[dim] of the parameters; as `submit`. A round takes one update: a second call sends
        the first one again."""
        self.missed = await self._trainer.send_change(self.number, change)
        self.is_sent = True
        return self.missed is None


class AsyncTrainer:
    """One trainer of one task, for programs that are asynchronous themselves; others use `clients.Trainer`.

    Args:
        market: the market on its chain.
        task_id: the task.
        aggregator: connection to the task's aggregator.
        account: signs updates and transactions.
        prover: derives the keys that the terms are checked against; blocks for seconds.
        directory: remembers updates that were signed, so that a restart sends the same.
        poll_seconds: how often the chain is looked at while nothing happens.
        allowed: addresses of those who may join, as the owner gave them; empty for a task that is open to all.
        max_stake_wei: most that the account is willing to post, and to let the market take.
        stake_token: the ERC-20 that a stake may be in; by default the native currency.
    """

    def __init__(
        self,
        *,
        market: Market,
        task_id: int,
        aggregator: AggregatorClient,
        account: LocalAccount,
        prover: Prover,
        directory: Path,
        poll_seconds: float = 5,
        allowed: Sequence[str] = (),
        max_stake_wei: int = 0,
        stake_token: str = NATIVE,
        log: Log | None = None,
    ) -> None:
        self._market = market
        self._task_id = task_id
        self._aggregator = aggregator
        self._account = account
        self._signer = CallSigner(account, market.domain)
        self._prover = prover
        self._memory = Memory(directory)
        self._poll_seconds = poll_seconds
        self._allowed = tuple(allowed)
        self._max_stake_wei = max_stake_wei
        self._stake_token = stake_token
        self._log = (log or get(role="trainer")).bind(task=task_id, trainer=account.address)
        self._terms: Derived | None = None
        self._receiver: Receiver | None = None

    async def run(self, train: LocalTraining) -> int:
        """Takes part until the task is closed; returns what was paid out, in wei.

        Args:
            train: local training; called in a thread.
        Raises:
            NotFinite: training produced NaN or infinity.
            InvalidTraining, and what `rounds` does.
        """
        async with aclosing(self.rounds()) as rounds:
            async for round in rounds:
                start = round.parameters.copy()
                await round.submit(await asyncio.to_thread(train, start, round.number, round.learning_rate))
        return await self.withdraw()

    async def rounds(self, *, dim: int | None = None) -> AsyncGenerator[AsyncRound, None]:
        """Checks the terms, joins, and gives each round that waits for an update, until the task is closed.

        A round whose update was made before, by a process that ended since, is sent that one, and not given.

        Args:
            dim: number of parameters that the caller trains; a task of another is refused before joining.
        Raises:
            UnacceptableTerms: the terms, or a model, are not what an honest task has.
            MemoryInUse: another process takes part with the same directory.
            InvalidReceipt, and what the chain and the aggregator raise.
        """
        with self._memory.held():
            terms = await self.check()
            if dim is not None and terms.statement.dim != dim:
                raise UnacceptableTerms("dim", terms.statement.dim, f"this trainer's model has {dim} parameters")
            await self.join()
            await self._fetch_receipts()
            async with aclosing(self._collecting()) as collecting:
                async for number in collecting:
                    round = await self._begin(number)
                    if round is not None:
                        yield round

    async def check(self) -> Derived:
        """Compares the terms on chain, and the genesis model, with what follows from the rule and the sizes.

        Raises:
            UnacceptableTerms: naming the field.
            ValueOutOfRange: this account is not on its own allow-list.
            InvalidPublicKey: the aggregator's key is not that of the task's aggregator.
        """
        if self._terms is not None:
            return self._terms
        view = await self._view()
        self._membership(view.config)
        terms = await asyncio.to_thread(check_terms, view.config, self._market.chain, self._prover)
        data = await self._download(0, view.config.dim, wait=True)
        await asyncio.to_thread(check_genesis, data, view.config, terms.srs)
        self._receiver = await receiver_of(self._aggregator, view)
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
        if config.stake_wei:
            await asyncio.to_thread(allow, self._market, self._account, config.token, config.stake_wei)
        receipt = await asyncio.to_thread(self._market.join, self._account, self._task_id, proof)
        self._log.info("trainer.joined", gas=receipt["gasUsed"], stake_wei=str(config.stake_wei))

    async def history(self) -> list[Outcome]:
        """What the chain says of each settled round, oldest first."""
        found = []
        for number in range((await self._view()).current_round + 1):
            view = await asyncio.to_thread(self._market.round, self._task_id, number)
            if view.state != RoundState.SETTLED:
                continue
            if self._account.address not in view.trainers:
                found.append(Outcome(round=number, sent=False))
                continue
            slot = view.trainers.index(self._account.address)
            accepted, score, paid_wei = view.accept[slot], view.scores[slot], view.paid_wei[slot]
            found.append(Outcome(round=number, sent=True, accepted=accepted, score=score, paid_wei=paid_wei))
        return found

    async def withdraw(self) -> int:
        """Collects what the closed task owes; returns the amount in wei."""
        owed_wei, claimable = await asyncio.to_thread(self._market.credit, self._task_id, self._account.address)
        paid_wei = 0
        if owed_wei and claimable:
            paid_wei = await asyncio.to_thread(self._market.withdraw, self._account, self._task_id)
        self._log.info("trainer.withdrew", paid_wei=str(paid_wei))
        return paid_wei

    # ------------------------------------------------------------------ rounds

    async def _collecting(self) -> AsyncGenerator[int, None]:
        """Each round that the aggregator announces, until the task is closed on chain."""
        closed = asyncio.create_task(self._until_closed())
        try:
            async with aclosing(follow(self._aggregator, self._task_id, self._log)) as reports:
                while (report := await _next_before(reports, closed)) is not None:
                    if report.report.step == RoundStep.ROUND_STEP_COLLECTING:
                        yield report.round
            await closed
        finally:
            closed.cancel()

    async def _begin(self, number: int) -> AsyncRound | None:
        """The round as its trainer gets it; None if it is over, or its update was made before."""
        while (view := await self._collects(number)) is not None:
            pending = await asyncio.to_thread(self._memory.pending, number)
            if pending is not None:
                await self._deliver(pending)
                return None
            try:
                return AsyncRound(self, view, await self._start(view))
            except (AggregatorUnreachable, Refusal) as error:
                await self._pause(error, number)
        return None

    async def _start(self, view: TaskView) -> Vector:
        """The parameters float64[dim] that a round starts from, checked against the chain."""
        terms = self._checked_terms()
        statement = terms.statement
        data = await self._download(view.current_round, statement.dim)
        model = await asyncio.to_thread(open_model, data, statement.dim, G1Point(*view.model), terms.srs)
        return dequantize(model.values, statement.fmt, denominator=denominator(statement.slots))

    async def send_change(self, number: int, change: Vector) -> Exception | None:
        """Remembers a round's update before anyone sees it, and sends it; why it was too late, if it was."""
        pending = await asyncio.to_thread(self._memory.pending, number)
        if pending is None:
            pending = await self._make_update(number, change)
        return await self._deliver(pending)

    async def _make_update(self, number: int, change: Vector) -> Pending:
        terms, started_at = self._checked_terms(), time.monotonic()
        fmt, rounds = terms.statement.fmt, (await self._view()).config.rounds
        last = await self._last_taken(number)
        quantized = quantize(change if last is None else change + last.residual, fmt)
        column, point = await asyncio.to_thread(
            draw_for_round, quantized.values, fmt, terms.srs, round=number, rounds=rounds
        )
        pending = Pending(
            round=number,
            point=point,
            data=await asyncio.to_thread(self._sealed, encode_update(column, fmt), number),
            residual=quantized.residual,
        )
        await asyncio.to_thread(self._memory.remember, pending)
        if last is not None:
            await asyncio.to_thread(self._memory.forget_before, last.round)
        self._log.info(
            "trainer.trained",
            round=number,
            clipped_share=quantized.clipped_share,
            largest=int(np.abs(quantized.values).max()),
            seconds=_seconds_since(started_at),
        )
        return pending

    async def _last_taken(self, before: int) -> Pending | None:
        """The last of this trainer's updates that a round took, by the chain: one that was late took nothing away."""
        for number in reversed(await asyncio.to_thread(self._memory.rounds)):
            if number >= before:
                continue
            pending = await asyncio.to_thread(self._memory.pending, number)
            view = await asyncio.to_thread(self._market.round, self._task_id, number)
            if pending is not None and pending.point in map(G1Point._make, view.points):
                return pending
        return None

    async def _deliver(self, pending: Pending) -> Exception | None:
        """Sends an update until it is taken, or the round is over; why it was not taken, if so."""
        number = pending.round
        if await asyncio.to_thread(self._memory.has_receipt, number):
            return None
        error: Exception = LateUpdate(f"round: {number} of task {self._task_id} takes no more updates", field="round")
        while (view := await self._collects(number)) is not None:
            try:
                await self._send(view, pending)
            except MISSED as refusal:
                error = refusal
                break
            except (AggregatorUnreachable, Refusal) as failure:
                error = failure
                await self._pause(failure, number)
            else:
                return None
        self._log.warning("trainer.missed_round", round=number, reason=str(error))
        return error

    async def _send(self, view: TaskView, pending: Pending) -> None:
        started_at = time.monotonic()
        receipt = await send_update(
            market=self._market,
            aggregator=self._aggregator,
            account=self._account,
            signer=self._signer,
            view=view,
            round=pending.round,
            point=pending.point,
            data=pending.data,
        )
        await asyncio.to_thread(self._memory.keep_receipt, pending.round, receipt.SerializeToString())
        self._log.info(
            "trainer.uploaded",
            round=pending.round,
            cid=to_text(receipt.cid),
            bytes=len(pending.data),
            seconds=_seconds_since(started_at),
        )

    async def _fetch_receipts(self) -> None:
        """Those that the aggregator gave to a process which was ended before it kept them."""
        view = await self._view()
        for number in await asyncio.to_thread(self._memory.rounds):
            pending = await asyncio.to_thread(self._memory.pending, number)
            if pending is None or await asyncio.to_thread(self._memory.has_receipt, number):
                continue
            try:
                status = await self._aggregator.update_status(self._task_id, number, self._account.address)
            except (AggregatorUnreachable, Refusal) as error:
                self._log.info("trainer.no_receipt", round=number, reason=str(error))
                continue
            sent = commitment_of(self._task_id, number, pending.point, pending.data)
            sender, aggregator = self._account.address, view.config.aggregator
            check_receipt(status.receipt, sent, market=self._market, sender=sender, aggregator=aggregator)
            await asyncio.to_thread(self._memory.keep_receipt, number, status.receipt.SerializeToString())

    async def _pause(self, error: Exception, number: int) -> None:
        """Before another attempt, if what went wrong may pass; raises it if not."""
        if not may_pass(error):
            raise error
        self._log.warning("trainer.cannot_reach", round=number, reason=str(error))
        await asyncio.sleep(self._poll_seconds)

    # ------------------------------------------------------------------- chain

    async def _collects(self, number: int) -> TaskView | None:
        """The task, if the round collects by the chain."""
        view = await self._view()
        collects = view.state == TaskState.OPEN and view.round_state == RoundState.COLLECTING
        return view if collects and view.current_round == number else None

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
        return check_membership(
            config,
            self._account.address,
            allowed=self._allowed,
            max_stake_wei=self._max_stake_wei,
            stake_token=self._stake_token,
        )

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

    def _sealed(self, data: bytes, number: int) -> bytes:
        """An update object's bytes as they travel and rest."""
        assert self._receiver is not None, "check() comes first"
        context = update_context(self._market.domain, self._task_id, number, self._account.address)
        return seal_update(data, self._receiver, context)

    def _checked_terms(self) -> Derived:
        assert self._terms is not None, "check() comes first"
        return self._terms


async def _next_before(
    reports: AsyncIterator[WatchRoundsResponse], end: "asyncio.Task[None]"
) -> WatchRoundsResponse | None:
    """The next report; None if there is none, or `end` comes first. Raises what either does."""
    coming = asyncio.ensure_future(anext(reports, None))
    try:
        await asyncio.wait({coming, end}, return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            return await coming
        await end
        return None
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _seconds_since(started_at: float) -> float:
    return round(time.monotonic() - started_at, 3)
