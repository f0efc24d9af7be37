"""The round machine: takes one task from its bond to its last model.

Each step reads what is durable, does one thing, and makes it durable with its report; doing a step again does no harm.
So a process that was killed anywhere resumes at the last report, and looks at the chain before it sends what it may
have sent already.

The chain is the truth. While a transaction that a step rests on may still be taken back, it is looked at again and
again; if it is gone, the round goes back to the step before, with a report that says so, and on from there. What cannot
be undone waits until that cannot happen: a task is taken on, proofs are made, and a task is over, once the blocks that
they rest on are deep enough.

Every wait of a round ends by the chain's clock, at the latest with the window that it is in.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

from hexbytes import HexBytes
from web3.types import TxReceipt

from aggregator import anchors, vkas
from aggregator.errors import Disagreement, StateLost, Stopping, TakenBack
from aggregator.handover import Handover, next_model
from aggregator.manifests import keep_manifest
from aggregator.outbox import Outbox
from aggregator.proofs import Proofs
from aggregator.records import FINAL_STEPS, Block, Model, Purpose, Report, Round, Step, Transaction, Update
from aggregator.served import ServedTask
from aggregator.tools import Tools, off_loop
from circuits.bn254 import G1Point
from contracts.bindings import (
    NATIVE,
    NOBODY,
    Journal,
    ProofTerms,
    RoundState,
    RoundView,
    Settlement,
    Submission,
    TaskConfig,
    TaskState,
    TaskView,
    allow,
    register_vka,
)
from protocol.holders import holder_of
from protocol.terms import Derived
from store.cid import to_text
from store.objects import encode_model

Handler = Callable[[Round], Awaitable[None]]

# Reverts that only say that somebody was faster, or that an earlier attempt went through after all.
_ALREADY_DONE = ("WrongRound", "WrongRoundState", "WrongTaskState")

_EVENTS = {
    Purpose.COMMIT: "RoundCommitted",
    Purpose.SETTLE: "RoundSettled",
    Purpose.PUBLISH: "ModelPublished",
    Purpose.EXPIRE: "RoundExpired",
}
_TO_OPEN = (Purpose.REGISTER_KEY, Purpose.POST_BOND)
_STEP_BEFORE = {Purpose.COMMIT: Step.SEALED, Purpose.SETTLE: Step.RULE_PROVEN, Purpose.PUBLISH: Step.SETTLED}
_SHARE_FOR_DEPTH = 0.25
"""Of the settle window, for a commit to become final in."""


class Machine:
    """Runs one task. Everything it raises is worth a new attempt, but `Disagreement` and `StateLost`."""

    def __init__(self, task: ServedTask, terms: Derived, tools: Tools) -> None:
        self._task = task
        self._terms = terms
        self._tools = tools
        self._log = tools.log.bind(task=task.task_id)
        self._outbox = Outbox(task.task_id, tools)
        self._proofs = Proofs(task.task_id, terms, tools)
        self._handover = Handover(task, terms, tools, self._outbox)
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
        """Until the task is closed, its last model published, and both for good."""
        while True:
            try:
                await self._run_rounds()
                await self._wait_until_final()
                return
            except TakenBack as error:
                self._log.warning("chain.reorganised", reason=str(error))
                await self._task.wait_for_change(self._task.version, self._tools.config.poll_seconds)

    async def _run_rounds(self) -> None:
        await self._follow_chain()
        view = await self._task.refresh(self._tools)
        if view.state == TaskState.FUNDED:
            await self._open_task()
        if await self._was_cancelled():
            return
        for round in range(self._task.config.rounds):
            if await self._run_round(round) == Step.EXPIRED or await self._ended_with(round):
                break

    async def _wait_until_final(self) -> None:
        """Nothing is over before it is as deep as reorganisations are followed."""
        head = await off_loop(self._tools.finality.look)
        mark = head.latest
        while head.final < mark:
            await self._pause(self._task.version)
            head = await off_loop(self._tools.finality.look)
        if (await self._task.refresh(self._tools)).state != TaskState.CLOSED:
            raise TakenBack("the task's end")

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
            await self._follow_chain()
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
        await self._register_key(view.config.verifier)
        async with self._tools.posting if view.config.token != NATIVE else nullcontext():
            receipt = await self._post_bond(view.config)
        if receipt is not None:
            self._log.info("task.opened", bond_wei=str(view.config.bond_wei), gas=receipt["gasUsed"])
        await self._task.refresh(self._tools)

    async def _post_bond(self, config: TaskConfig) -> TxReceipt | None:
        market, account = self._tools.market, self._tools.account
        allowed = await off_loop(allow, market, account, config.token, config.bond_wei)
        if allowed is not None:
            self._log.info("token.allowed", token=config.token, amount=str(config.bond_wei), gas=allowed["gasUsed"])
        return await self._outbox.send(
            Purpose.POST_BOND,
            0,
            lambda journal: market.post_bond(account, self._task.task_id, journal),
            ("WrongTaskState",),
        )

    async def _register_key(self, verifier: str) -> None:
        keys, chain = self._terms.rule_keys, self._tools.chain
        if await off_loop(vkas.is_registered, chain, verifier, keys.vka_words):
            return

        def register(journal: Journal) -> TxReceipt:
            return register_vka(chain, self._tools.account, verifier, keys.vka_words, journal)

        await self._outbox.send(Purpose.REGISTER_KEY, 0, register)
        self._log.info("vka.registered", digest=keys.vka_digest.hex())

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
            if view.state == TaskState.FUNDED:
                raise TakenBack("the bond")
        if await off_loop(self._tools.state.model, self._task.task_id, number) is None:
            raise StateLost(f"model {number} of task {self._task.task_id} is not in this state")
        await self._opened(self._report(number, Step.COLLECTING))

    async def _opened(self, report: Report) -> None:
        """Notes where the chain begins a round, and announces it, unless that is what was known already."""
        events = await off_loop(self._tools.market.events, report.task_id, round=report.round)
        opening = next((event for event in events if event.name == "RoundOpened"), None)
        if opening is None:
            raise TakenBack(f"the beginning of round {report.round}")
        deadline_seconds, state = int(opening.args["commitDeadline"]), self._tools.state
        known = await off_loop(state.round, report.task_id, report.round)
        block = Block(opening.block_number, opening.block_hash)
        if await off_loop(state.open_round, report, deadline_seconds, block):
            await self._announce(replace(report, rolled_back=known is not None), deadline_seconds=deadline_seconds)

    # ---------------------------------------------------------------- the steps

    async def _seal(self, round: Round) -> None:
        """Collects until every trainer has sent, every place is taken, or the time is over."""
        config = self._task.config
        margin = min(self._tools.config.commit_margin_seconds, config.commit_window_seconds // 2)
        # Updates wake this too, and no more is to be asked of the chain for each of them, but before it is over.
        usual_age_seconds = self._tools.config.poll_seconds / 2
        age_seconds = 0.0
        while True:
            seen = self._task.version
            view = await self._task.refresh(self._tools, age_seconds)
            updates = await self._joined_of(await self._updates(round))
            if view.state == TaskState.CLOSED or view.current_round > round.round:
                break
            round = await self._collecting(round, view)
            clock = await self._tools.chain_clock_seconds(age_seconds)
            waits = clock < view.deadline_seconds - margin and not self._has_all(updates)
            is_over = clock > view.deadline_seconds or not (waits or anchors.lacking(self._task, updates))
            if is_over and not age_seconds:
                break
            if is_over:
                age_seconds = 0.0
                continue
            age_seconds = usual_age_seconds
            await self._pause(seen, age_seconds)
        anchor = await self._tools.with_store(
            anchors.anchor_of_round, round.round, self._task, self._terms, self._tools
        )
        report = self._report(round.round, Step.SEALED)
        await off_loop(self._tools.state.seal, report, anchor, {update.trainer for update in updates})
        await self._announce(report, updates=len(updates) if view.state != TaskState.CLOSED else None)

    async def _collecting(self, round: Round, view: TaskView) -> Round:
        """The round as the chain has it, which may have gone back, or begun it anew in another block."""
        if view.state != TaskState.OPEN or view.current_round < round.round:
            raise TakenBack(f"the beginning of round {round.round}")
        if view.round_state != RoundState.COLLECTING:
            return round
        opened_in = round.opened_in
        if opened_in is not None and await off_loop(self._tools.finality.hash_of, opened_in.number) == opened_in.hash:
            return round
        await self._opened(self._report(round.round, Step.COLLECTING))
        return await off_loop(self._tools.state.round, round.task_id, round.round) or round

    async def _joined_of(self, updates: Sequence[Update]) -> list[Update]:
        """Those of the referee, and of who is a trainer on chain: a reorganisation may have taken that back.

        Logs may come late, so the contract itself is asked before anybody is left out.
        """
        task, tools, own = self._task, self._tools, (self._task.referee, NOBODY)
        return [u for u in updates if u.trainer in own or await task.has_joined(u.trainer, tools)]

    def _has_all(self, updates: Sequence[Update]) -> bool:
        trainers = anchors.trainers_of(self._task, updates)
        return len(trainers) == self._task.places or self._task.trainers <= trainers

    async def _commit(self, round: Round) -> None:
        updates = await self._updates(round)
        view = await self._round_view(round)
        if view.state == RoundState.EXPIRED:
            await self._expired(round)
            return
        if view.state == RoundState.NONE:
            raise TakenBack(f"the beginning of round {round.round}")
        receipt = None
        if view.state == RoundState.COLLECTING:
            await self._require_joined(round, updates)
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
        report = await self._transaction(round, Step.COMMITTED, Purpose.COMMIT, receipt)
        await off_loop(self._tools.state.finish, report)
        await self._announce(report, trainers=list(view.trainers))

    async def _require_joined(self, round: Round, updates: list[Update]) -> None:
        """Whoever the chain does not know as a trainer any more would make it refuse everybody's updates."""
        await self._task.refresh(self._tools)
        if len(await self._joined_of(updates)) < len(updates):
            report = self._report(round.round, Step.COLLECTING)
            await off_loop(self._tools.state.roll_back, report)
            await self._announce(replace(report, rolled_back=True))
            raise TakenBack(f"trainers of round {round.round}")

    async def _send_commit(self, round: Round, updates: list[Update]) -> TxReceipt | None:
        submissions = [Submission(trainer=u.trainer, point=u.point, cid=u.cid, signature=u.signature) for u in updates]

        def commit(journal: Journal) -> TxReceipt:
            return self._tools.market.commit_round(
                self._tools.account, self._task.task_id, round.round, submissions, journal
            )

        return await self._outbox.send(Purpose.COMMIT, round.round, commit, (*_ALREADY_DONE, "CommitWindowClosed"))

    async def _prove_linear(self, round: Round) -> None:
        if await self._window_closed(round):
            return
        await self._wait_for_depth(round)
        async with self._within_window(round):
            proof = await self._proofs.linear(round.round, await self._updates(round))
            report = self._report(round.round, Step.LINEAR_PROVEN)
            await off_loop(self._tools.state.finish, report)
            await self._announce(report, proof_bytes=len(proof.data))

    async def _wait_for_depth(self, round: Round) -> None:
        """Proofs of a commitment are few. Which ones there are is settled first, as long as time is left for them."""
        window_seconds = self._task.config.settle_window_seconds
        while not await off_loop(self._outbox.is_deep, Purpose.COMMIT, round.round):
            view = await self._round_view(round)
            left_seconds = view.settle_deadline_seconds - await self._tools.chain_clock_seconds()
            if view.state == RoundState.COMMITTED and left_seconds < (1 - _SHARE_FOR_DEPTH) * window_seconds:
                self._log.warning("commit.shallow", round=round.round)
                return
            if view.state > RoundState.COMMITTED:
                return
            await self._pause(self._task.version)

    async def _prove_rule(self, round: Round) -> None:
        if await self._window_closed(round):
            return
        async with self._within_window(round):
            judged = await self._proofs.rule(round.round, await self._updates(round))
            report = self._report(round.round, Step.RULE_PROVEN)
            await off_loop(self._tools.state.judge, report, judged.accept, judged.score)
            await self._announce(report, proof_bytes=len(judged.proof.data), accept=judged.accept, score=judged.score)

    @asynccontextmanager
    async def _within_window(self, round: Round) -> AsyncIterator[None]:
        """Gives up what takes longer than the round has left; the next attempt finds the window closed."""
        view = await self._round_view(round)
        left_seconds = None
        if view.state == RoundState.COMMITTED:
            left_seconds = view.settle_deadline_seconds - await off_loop(self._tools.chain.now_seconds) + 1
        limit = asyncio.timeout(left_seconds)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise

    async def _settle(self, round: Round) -> None:
        updates = await self._updates(round)
        view, receipt = await self._round_view(round), None
        if view.state == RoundState.COMMITTED:
            if await self._window_closed(round):
                return
            settle = await self._settling(round, updates)
            receipt = await self._outbox.send(
                Purpose.SETTLE, round.round, settle, (*_ALREADY_DONE, "SettleWindowClosed")
            )
            view = await self._round_view(round)
        if view.state == RoundState.EXPIRED:
            await self._expired(round)
            return
        if view.state != RoundState.SETTLED:
            await self._pause(self._task.version)
            return  # the window has closed meanwhile: the next attempt ends the round
        outcome = [(update.accepted, update.score) for update in updates]
        if list(zip(view.accept, view.scores, strict=True)) != outcome:
            raise Disagreement("settled outcome", outcome, (view.accept, view.scores))
        report = await self._transaction(round, Step.SETTLED, Purpose.SETTLE, receipt)
        await off_loop(self._tools.state.settle, report, view.paid_wei)
        await self._announce(
            report,
            accepted=[update.trainer for update in updates if update.accepted],
            scores={update.trainer: update.score for update in updates},
            paid_wei={u.trainer: str(paid) for u, paid in zip(updates, view.paid_wei, strict=True)},
        )

    async def _settling(self, round: Round, updates: list[Update]) -> Callable[[Journal], TxReceipt]:
        """What settles the round and, where it leads to a sealed model, hands over the key of that."""
        settlement, share = await self._settlement(round, updates), None
        if self._handover.is_due(round.round, updates, settlement.gram):
            share = await self._handover.share(await self._handover.model(round.round, updates))

        def settle(journal: Journal) -> TxReceipt:
            if share is not None:
                return self._handover.settle(round.round, settlement, share, journal)
            account, task_id = self._tools.account, self._task.task_id
            return self._tools.market.settle_round(account, task_id, round.round, settlement, journal)

        return settle

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
        if view.model is None:
            raise TakenBack(f"the settlement of round {round.round}")
        updates, statement = await self._updates(round), self._terms.statement
        model = await self._model_after(round, updates, G1Point(*view.model))
        model = await self._tools.with_store(keep_manifest, round.round, model, updates, statement, self._tools)
        receipt = None
        if view.model_cid is None:

            def publish(journal: Journal) -> TxReceipt:
                return self._tools.market.publish_model(
                    self._tools.account, self._task.task_id, round.round, model.cid, journal
                )

            receipt = await self._outbox.send(Purpose.PUBLISH, round.round, publish)
        report = await self._transaction(round, Step.PUBLISHED, Purpose.PUBLISH, receipt)
        await off_loop(self._tools.state.finish, report)
        await self._announce(report, cid=to_text(model.cid), version=model.version)

    async def _model_after(self, round: Round, updates: list[Update], commitment: G1Point) -> Model:
        """The next model in store and state, and its key with the owner where it is sealed."""
        if self._task.owner_key is not None and await self._is_sealed(round, updates):
            model = await self._handover.model(round.round, updates)
            if model.point != commitment:
                raise Disagreement(f"commitment after round {round.round}", model.point, commitment)
            await self._handover.make_good(round.round, await self._handover.share(model))
            return model
        model = await self._tools.with_store(self._next_model, round, updates, commitment)
        await off_loop(self._tools.state.put_model, model)
        return model

    async def _is_sealed(self, round: Round, updates: list[Update]) -> bool:
        linear, _ = await self._proofs.load_both(round.round)
        return self._handover.is_due(round.round, updates, linear.instances)

    def _next_model(self, round: Round, updates: list[Update], commitment: G1Point) -> Model:
        accepted = [update for update in updates if update.accepted]
        task_id = self._task.task_id
        data = encode_model(
            next_model(task_id, round.round, accepted, commitment, terms=self._terms, tools=self._tools)
        )
        cid = self._tools.store.put_for(holder_of(task_id), data)
        self._tools.boundary("store.model")
        return Model(task_id=task_id, version=round.round + 1, cid=cid, size_bytes=len(data), point=commitment)

    # ---------------------------------------------------------- rounds that fail

    async def _lapse(self, round: Round, view: RoundView, reason: str) -> None:
        """Not committed in time: ends the round, which costs nothing and gives the bond back."""
        while await self._tools.chain_clock_seconds() <= view.commit_deadline_seconds:
            await self._pause(self._task.version)
        self._log.warning("round.lapsed", round=round.round, reason=reason)
        await self._expire(round)

    async def _window_closed(self, round: Round) -> bool:
        """Whether a committed round can no longer be settled; if so, ends it, unless somebody has: the bond is lost."""
        view = await self._round_view(round)
        if view.state == RoundState.EXPIRED:
            await self._expired(round)
            return True
        if view.state != RoundState.COMMITTED:
            return False
        if await off_loop(self._tools.chain.now_seconds) <= view.settle_deadline_seconds:
            return False
        self._log.error("round.missed", round=round.round, settle_deadline_seconds=view.settle_deadline_seconds)
        await self._expire(round)
        return True

    async def _expire(self, round: Round) -> None:
        def expire(journal: Journal) -> TxReceipt:
            return self._tools.market.expire_round(self._tools.account, self._task.task_id, round.round, journal)

        # The chain's own clock may be behind ours: then this comes too early, and is done again.
        receipt = await self._outbox.send(Purpose.EXPIRE, round.round, expire, (*_ALREADY_DONE, "WindowStillOpen"))
        if (await self._round_view(round)).state == RoundState.EXPIRED:
            await self._expired(round, receipt)
        else:
            await self._pause(self._task.version)

    async def _expired(self, round: Round, receipt: TxReceipt | None = None) -> None:
        report = await self._transaction(round, Step.EXPIRED, Purpose.EXPIRE, receipt)
        await off_loop(self._tools.state.finish, report)
        await self._announce(report)

    # --------------------------------------------------------- reorganisations

    async def _follow_chain(self, within_seconds: float = 0.0) -> None:
        """Takes back the steps whose transactions the chain has taken back.

        Raises:
            TakenBack: there were some.
        """
        gone = await off_loop(self._outbox.taken_back, within_seconds)
        if not gone:
            return
        # A later round rests on the earlier ones, so it goes back first.
        for number in sorted({transaction.round for transaction in gone}, reverse=True):
            await self._roll_back(number, [transaction for transaction in gone if transaction.round == number])
        raise TakenBack(", ".join(f"{t.purpose.name.lower()} of round {t.round}" for t in gone))

    async def _roll_back(self, number: int, gone: list[Transaction]) -> None:
        state, task_id = self._tools.state, self._task.task_id
        round = await off_loop(state.round, task_id, number)
        to_open = all(transaction.purpose in _TO_OPEN for transaction in gone)
        if round is None or (round.step == Step.COLLECTING and to_open):  # its beginning is reported when it comes
            for transaction in gone:
                await off_loop(state.put_transaction, replace(transaction, block=None))
            return
        steps = {**_STEP_BEFORE, Purpose.EXPIRE: await off_loop(state.step_before_end, task_id, number)}
        step = min(round.step, *(steps.get(transaction.purpose, round.step) for transaction in gone))
        report = replace(self._report(number, step), rolled_back=True)
        await off_loop(state.roll_back, report, gone)
        await self._announce(report)

    # -------------------------------------------------------------------- tools

    async def _pause(self, seen: int, age_seconds: float = 0.0) -> None:
        """Until the task has changed since version `seen`, or it is time to look at the chain again.

        Args:
            age_seconds: how long ago the chain may have been looked at where a change ends the wait.
        """
        await self._task.wait_for_change(seen, self._tools.config.poll_seconds)
        self._require_running()
        await self._follow_chain(age_seconds)

    def _require_running(self) -> None:
        if self._tools.draining.is_set():
            raise Stopping

    async def _updates(self, round: Round) -> list[Update]:
        return await off_loop(self._tools.state.updates, self._task.task_id, round.round)

    async def _round_view(self, round: Round) -> RoundView:
        return await off_loop(self._tools.market.round, self._task.task_id, round.round)

    async def _transaction(self, round: Round, step: Step, purpose: Purpose, receipt: TxReceipt | None) -> Report:
        """The report of a step that is a transaction; one that somebody else sent is found by its event."""
        if receipt is None:
            receipt = await self._receipt_of(round, _EVENTS[purpose])
            await self._outbox.note(purpose, round.round, receipt)
        return self._report(
            round.round, step, gas_used=receipt["gasUsed"], transaction=bytes(receipt["transactionHash"])
        )

    async def _receipt_of(self, round: Round, event: str) -> TxReceipt:
        events = await off_loop(self._tools.market.events, self._task.task_id, round=round.round)
        for found in (entry for entry in events if entry.name == event):
            receipt = await off_loop(self._tools.chain.receipt, HexBytes(found.tx_hash))
            if receipt is not None:
                return receipt
        raise TakenBack(f"{event} of round {round.round}")

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
            "round.taken_back" if report.rolled_back else f"round.{report.step.name.lower()}",
            round=report.round,
            seconds=round(report.seconds, 3),
            gas=report.gas_used,
            transaction="0x" + report.transaction.hex() if report.transaction else None,
            **({"step": report.step.name.lower()} if report.rolled_back else {}),
            **details,
        )
        await self._task.notify()
