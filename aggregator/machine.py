"""The round machine: takes one task from its bond to its last model.

Each step reads what is durable, does one thing, and makes it durable with its report; doing a step again does no harm.
So a process that was killed anywhere resumes at the last report, and looks at the chain before it sends what it may
have sent already.
"""

import time
from collections.abc import Awaitable, Callable, Sequence

from hexbytes import HexBytes
from web3.types import TxReceipt

from aggregator import anchors, vkas
from aggregator.errors import Disagreement, StateLost, Stopping
from aggregator.proofs import Proofs
from aggregator.records import FINAL_STEPS, Model, Report, Round, Step, Update
from aggregator.served import ServedTask
from aggregator.tools import Tools, off_loop
from circuits.bn254 import G1Point
from circuits.commitment import check_opening
from circuits.errors import CommitmentMismatch
from circuits.model import fold
from contracts.bindings import ProofTerms, RoundState, RoundView, Settlement, Submission, TaskState, TransactionReverted
from protocol.holders import holder_of
from protocol.terms import Derived
from store.cid import to_text
from store.objects import decode_model, encode_model

Handler = Callable[[Round], Awaitable[None]]

# Reverts that only say that somebody was faster, or that an earlier attempt went through after all.
_ALREADY_DONE = ("WrongRound", "WrongRoundState", "WrongTaskState")


class Machine:
    """Runs one task. Everything it raises is worth a new attempt, but `Disagreement` and `StateLost`."""

    def __init__(self, task: ServedTask, terms: Derived, tools: Tools) -> None:
        self._task = task
        self._terms = terms
        self._tools = tools
        self._log = tools.log.bind(task=task.task_id)
        self._proofs = Proofs(task.task_id, terms, tools)
        self._started_at = time.monotonic()
        self._handlers: dict[Step, Handler] = {
            Step.COLLECTING: self._seal,
            Step.SEALED: self._commit,
            Step.COMMITTED: self._prove_linear,
            Step.LINEAR_PROVEN: self._prove_rule,
            Step.RULE_PROVEN: self._settle,
            Step.SETTLED: self._publish,
        }

    async def run(self) -> None:
        """Until the task is closed and its last model published."""
        if self._task.view.state == TaskState.FUNDED:
            await self._open_task()
        if await self._was_cancelled():
            return
        for round in range(self._task.config.rounds):
            if await self._run_round(round) == Step.EXPIRED or await self._ended_with(round):
                break

    async def _ended_with(self, number: int) -> bool:
        """Whether this was the task's last round: of all that it has, or because it met the target."""
        view = await self._task.refresh(self._tools)
        return view.state == TaskState.CLOSED and view.current_round == number

    async def _was_cancelled(self) -> bool:
        """Whether the owner took the task back before it had a bond, and so a first round."""
        view = await off_loop(self._tools.market.round, self._task.task_id, 0)
        return view.state == RoundState.NONE and self._task.view.state == TaskState.CLOSED

    async def _run_round(self, number: int) -> Step:
        while True:
            self._require_running()
            round = await off_loop(self._tools.state.round, self._task.task_id, number)
            if round is not None and round.step in FINAL_STEPS:
                return round.step
            self._started_at = time.monotonic()
            if round is None:
                await self._open_round(number)
            else:
                handler = self._handlers[round.step]
                with self._tools.telemetry.step(self._task.task_id, number, handler.__name__.strip("_")):
                    await handler(round)

    # ------------------------------------------------------------ before rounds

    async def _open_task(self) -> None:
        """Posts the bond once the genesis model is here and enough trainers have joined."""
        wanted = self._tools.config.open_when_joined or self._task.config.quorum
        while True:
            seen = self._task.version
            view = await self._task.refresh(self._tools)
            if view.state != TaskState.FUNDED:
                return
            genesis = await off_loop(self._tools.state.model, self._task.task_id, 0)
            if genesis is not None and len(self._task.trainers) >= wanted:
                break
            await self._pause(seen)
        keys = self._terms.rule_keys
        if await off_loop(
            vkas.ensure_registered, self._tools.chain, self._tools.account, view.config.verifier, keys.vka_words
        ):
            self._log.info("vka.registered", digest=keys.vka_digest.hex())
        receipt = await off_loop(self._tools.market.post_bond, self._tools.account, self._task.task_id)
        self._log.info("task.opened", bond_wei=str(view.config.bond_wei), gas=receipt["gasUsed"])
        await self._task.refresh(self._tools)

    async def _open_round(self, number: int) -> None:
        """Waits until the chain collects this round; the model that it starts from must be here."""
        while True:
            seen = self._task.version
            view = await self._task.refresh(self._tools)
            if view.state == TaskState.CLOSED or view.current_round > number:
                raise StateLost(f"round {number} of task {self._task.task_id} passed without this state")
            if view.state == TaskState.OPEN and view.current_round == number:
                break
            await self._pause(seen)
        if await off_loop(self._tools.state.model, self._task.task_id, number) is None:
            raise StateLost(f"model {number} of task {self._task.task_id} is not in this state")
        report = self._report(number, Step.COLLECTING)
        await off_loop(self._tools.state.open_round, report, view.deadline_seconds)
        await self._announce(report, deadline_seconds=view.deadline_seconds)

    # ---------------------------------------------------------------- the steps

    async def _seal(self, round: Round) -> None:
        """Collects until every trainer has sent, every place is taken, or the time is over."""
        config = self._task.config
        margin = min(self._tools.config.commit_margin_seconds, config.commit_window_seconds // 2)
        while True:
            seen = self._task.version
            view = await self._task.refresh(self._tools)
            if view.state == TaskState.CLOSED:
                break
            updates = await off_loop(self._tools.state.updates, self._task.task_id, round.round)
            clock = await self._tools.chain_clock_seconds()
            waits = clock < round.commit_deadline_seconds - margin and not self._has_all(updates)
            if not waits and not anchors.lacking(self._task, updates):
                break
            if clock > round.commit_deadline_seconds:
                break
            await self._pause(seen)
        anchor = await off_loop(anchors.anchor_of_round, round.round, self._task, self._terms, self._tools)
        report = self._report(round.round, Step.SEALED)
        await off_loop(self._tools.state.seal, report, anchor)
        await self._announce(report, updates=len(updates) if view.state != TaskState.CLOSED else None)

    def _has_all(self, updates: Sequence[Update]) -> bool:
        trainers = anchors.trainers_of(self._task, updates)
        return len(trainers) == self._task.places or self._task.trainers <= trainers

    async def _commit(self, round: Round) -> None:
        updates = await self._updates(round)
        view = await self._round_view(round)
        if view.state == RoundState.EXPIRED:
            await self._expired(round)
            return
        receipt = None
        if view.state == RoundState.COLLECTING:
            if reason := anchors.lacking(self._task, updates):
                await self._lapse(round, view, reason)
                return
            receipt = await self._send_commit(round, updates)
            view = await self._round_view(round)
            if view.state == RoundState.COLLECTING:
                await self._lapse(round, view, "the commit came too late")
                return
        committed = list(zip(view.trainers, map(G1Point._make, view.points), strict=True))
        if committed != [(update.trainer, update.point) for update in updates]:
            raise Disagreement("committed updates", [u.trainer for u in updates], list(view.trainers))
        report = await self._transaction(round, Step.COMMITTED, receipt, "RoundCommitted")
        await off_loop(self._tools.state.finish, report)
        await self._announce(report, trainers=list(view.trainers))

    async def _send_commit(self, round: Round, updates: list[Update]) -> TxReceipt | None:
        submissions = [Submission(trainer=u.trainer, point=u.point, cid=u.cid, signature=u.signature) for u in updates]
        return await self._send(
            lambda: self._tools.market.commit_round(self._tools.account, self._task.task_id, round.round, submissions),
            (*_ALREADY_DONE, "CommitWindowClosed"),
        )

    async def _prove_linear(self, round: Round) -> None:
        if await self._window_closed(round):
            return
        proof = await self._proofs.linear(round.round, await self._updates(round))
        report = self._report(round.round, Step.LINEAR_PROVEN)
        await off_loop(self._tools.state.finish, report)
        await self._announce(report, proof_bytes=len(proof.data))

    async def _prove_rule(self, round: Round) -> None:
        if await self._window_closed(round):
            return
        judged = await self._proofs.rule(round.round, await self._updates(round))
        report = self._report(round.round, Step.RULE_PROVEN)
        await off_loop(self._tools.state.judge, report, judged.accept, judged.score)
        await self._announce(report, proof_bytes=len(judged.proof.data), accept=judged.accept, score=judged.score)

    async def _settle(self, round: Round) -> None:
        updates = await self._updates(round)
        view, receipt = await self._round_view(round), None
        if view.state == RoundState.COMMITTED:
            if await self._window_closed(round):
                return
            settlement = await self._settlement(round, updates)
            receipt = await self._send(
                lambda: self._tools.market.settle_round(
                    self._tools.account, self._task.task_id, round.round, settlement
                ),
                (*_ALREADY_DONE, "SettleWindowClosed"),
            )
            view = await self._round_view(round)
        if view.state == RoundState.EXPIRED:
            await self._expired(round)
            return
        if view.state != RoundState.SETTLED:
            return  # the window has closed meanwhile: the next attempt waits for the round's end
        outcome = [(update.accepted, update.score) for update in updates]
        if list(zip(view.accept, view.scores, strict=True)) != outcome:
            raise Disagreement("settled outcome", outcome, (view.accept, view.scores))
        report = await self._transaction(round, Step.SETTLED, receipt, "RoundSettled")
        await off_loop(self._tools.state.settle, report, view.paid_wei)
        await self._announce(
            report,
            accepted=[update.trainer for update in updates if update.accepted],
            scores={update.trainer: update.score for update in updates},
            paid_wei={u.trainer: str(paid) for u, paid in zip(updates, view.paid_wei, strict=True)},
        )

    async def _settlement(self, round: Round, updates: list[Update]) -> Settlement:
        slots = self._task.config.slots
        linear, rule = await self._proofs.load_both(round.round)
        empty = slots - len(updates)
        return Settlement(
            trainers=tuple(update.trainer for update in updates),
            points=tuple(update.point for update in updates),
            gram=linear.instances,
            accept=tuple(bool(update.accepted) for update in updates) + (False,) * empty,
            scores=tuple(update.score or 0 for update in updates) + (0,) * empty,
            update_proof=linear.data,
            update_key=self._terms.update_key.words,
            rule_proof=rule.data,
            rule_vka=self._terms.rule_keys.vka_words,
            terms=ProofTerms.of(self._task.config),
        )

    async def _publish(self, round: Round) -> None:
        """Makes the next model, checks it against the chain's commitment, and says where it is."""
        view = await self._round_view(round)
        assert view.model is not None
        updates = [update for update in await self._updates(round) if update.accepted]
        model = await off_loop(self._next_model, round, updates, G1Point(*view.model))
        await off_loop(self._tools.state.put_model, model)
        receipt = None
        if view.model_cid is None:
            receipt = await off_loop(
                self._tools.market.publish_model, self._tools.account, self._task.task_id, round.round, model.cid
            )
        report = await self._transaction(round, Step.PUBLISHED, receipt, "ModelPublished")
        await off_loop(self._tools.state.finish, report)
        await self._announce(report, cid=to_text(model.cid), version=model.version)

    def _next_model(self, round: Round, accepted: list[Update], commitment: G1Point) -> Model:
        statement, store = self._terms.statement, self._tools.store
        before = self._tools.state.model(self._task.task_id, round.round)
        if before is None:
            raise StateLost(f"model {round.round} of task {self._task.task_id} is not in this state")
        columns = anchors.columns_of(accepted, statement, self._tools)
        after = fold(decode_model(store.get(before.cid), statement.dim), columns, statement.slots)
        try:
            check_opening(after, commitment, self._terms.srs)
        except CommitmentMismatch as error:
            raise Disagreement(f"model after round {round.round}", "the chain's commitment", error) from error
        data = encode_model(after)
        return Model(
            task_id=self._task.task_id,
            version=round.round + 1,
            cid=store.put_for(holder_of(self._task.task_id), data),
            size_bytes=len(data),
            point=commitment,
        )

    # ---------------------------------------------------------- rounds that fail

    async def _lapse(self, round: Round, view: RoundView, reason: str) -> None:
        """Not committed in time: ends the round, which costs nothing and gives the bond back."""
        while await self._tools.chain_clock_seconds() <= view.commit_deadline_seconds:
            await self._pause(self._task.version)
        self._log.warning("round.lapsed", round=round.round, reason=reason)
        await self._send(
            lambda: self._tools.market.expire_round(self._tools.account, self._task.task_id, round.round),
            _ALREADY_DONE,
        )
        # The chain's own clock may be behind ours: then the call above came too early, and is made again.
        if (await self._round_view(round)).state == RoundState.EXPIRED:
            await self._expired(round)

    async def _window_closed(self, round: Round) -> bool:
        """Whether a committed round can no longer be settled; if so, waits until somebody has ended it."""
        view = await self._round_view(round)
        if view.state == RoundState.EXPIRED:
            await self._expired(round)
            return True
        if view.state != RoundState.COMMITTED:
            return False
        if await off_loop(self._tools.chain.now_seconds) <= view.settle_deadline_seconds:
            return False
        self._log.error("round.missed", round=round.round, settle_deadline_seconds=view.settle_deadline_seconds)
        await self._pause(self._task.version)
        return True

    async def _expired(self, round: Round) -> None:
        report = self._report(round.round, Step.EXPIRED)
        await off_loop(self._tools.state.finish, report)
        await self._announce(report)

    # -------------------------------------------------------------------- tools

    async def _pause(self, seen: int) -> None:
        """Until the task has changed since version `seen`, or it is time to look at the chain again."""
        await self._task.wait_for_change(seen, self._tools.config.poll_seconds)
        self._require_running()

    def _require_running(self) -> None:
        if self._tools.draining.is_set():
            raise Stopping

    async def _updates(self, round: Round) -> list[Update]:
        return await off_loop(self._tools.state.updates, self._task.task_id, round.round)

    async def _round_view(self, round: Round) -> RoundView:
        return await off_loop(self._tools.market.round, self._task.task_id, round.round)

    async def _send(self, call: Callable[[], TxReceipt], harmless: tuple[str, ...]) -> TxReceipt | None:
        """The receipt; None if the chain refused for a reason that the caller finds in the chain's state."""
        try:
            return await off_loop(call)
        except TransactionReverted as error:
            if error.error_name not in harmless:
                raise
            self._log.warning("transaction.refused", function=error.function, error=error.error_name)
            return None

    async def _transaction(self, round: Round, step: Step, receipt: TxReceipt | None, event: str) -> Report:
        """The report of a step that is a transaction; one that was sent before a restart is found by its event."""
        mined = receipt if receipt is not None else await self._receipt_of(round, event)
        return self._report(round.round, step, gas_used=mined["gasUsed"], transaction=bytes(mined["transactionHash"]))

    async def _receipt_of(self, round: Round, event: str) -> TxReceipt:
        events = await off_loop(self._tools.market.events, self._task.task_id, round=round.round)
        found = next(entry for entry in events if entry.name == event)
        return await off_loop(self._tools.chain.wait, HexBytes(found.tx_hash))

    def _report(self, round: int, step: Step, *, gas_used: int = 0, transaction: bytes = b"") -> Report:
        return Report(
            task_id=self._task.task_id,
            round=round,
            step=step,
            finished_at_seconds=int(time.time()),
            seconds=time.monotonic() - self._started_at,
            gas_used=gas_used,
            transaction=transaction,
        )

    async def _announce(self, report: Report, **details: object) -> None:
        self._tools.telemetry.metrics.finished_step(report, details)
        self._log.info(
            f"round.{report.step.name.lower()}",
            round=report.round,
            seconds=round(report.seconds, 3),
            gas=report.gas_used,
            transaction="0x" + report.transaction.hex() if report.transaction else None,
            **details,
        )
        await self._task.notify()
