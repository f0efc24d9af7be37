"""An owner: creates a task, brings the genesis model, checks and evaluates each new model, takes back what is left."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from merit.v1.rounds_pb2 import RoundStep
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from circuits import model
from circuits.bn254 import G1Point
from circuits.commitment import Column, commit, draw_for_round
from circuits.fixedpoint import FixedPoint, dequantize, quantize
from circuits.prover import Prover
from circuits.rules import pace
from circuits.statement import Statement
from clients.errors import AggregatorUnreachable, InvalidReceipt
from clients.follow import follow
from clients.local_training import LocalTraining, change_of, learning_rate
from clients.parameters import Vector
from clients.sending import MISSED, may_pass, receiver_of, send_update
from clients.service import AggregatorClient
from contracts.bindings import (
    NATIVE,
    Market,
    RoundState,
    TaskConfig,
    TaskState,
    TaskView,
    allow,
    allowlist,
    created_task,
    sign_create_task,
)
from process.logs import Log, get
from protocol import last_model
from protocol.calls import CallSigner
from protocol.last_model import SealedModel
from protocol.refusals import Refusal, UnknownModel, UnknownTask
from protocol.sealing import seal_update, update_context
from protocol.terms import Derived, anchor_of, check_pace, derive, open_model
from store.cid import cid_of, to_text
from store.objects import encode_model, encode_update, model_size_limit_bytes

_DISCOVERY_SECONDS = 120
_RETRY_SECONDS = 1


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What an owner offers, beside the statement.

    Attributes:
        aggregator: address of the account that serves the task.
        verifier: address of the reusable verifier.
        reward_per_round_wei: split among a round's accepted trainers by score.
        bond_wei: what the aggregator loses if it does not settle; at least the reward.
        rounds: number of rounds.
        quorum: fewest trainers of a round; the rule must be defined for so many.
        commit_window_seconds, settle_window_seconds: how long each half of a round may take.
        pay_by_round: credits are claimable each round instead of at the end.
        token: ERC-20 of reward, bond and stakes, or NATIVE.
        stake_wei: what each trainer posts when it joins, and gets back with the task's end.
        allowed: addresses of those who may join; empty for all.
        target_norm: the task ends early once |A|^2 <= target_norm * n^2, A the sum of a round's n > 0 accepted updates,
            in squared units of 2^-q; 0: never.
        learning_rate: of the first round; 0 leaves it to the trainers.
        patience: rounds without progress after which the learning rate is halved; 0 keeps it constant.
        seal_last_model: nobody but the owner and the aggregator reads the model that ends the task; the aggregator must
            have a key board.
    """

    aggregator: str
    verifier: str
    reward_per_round_wei: int
    bond_wei: int
    rounds: int
    quorum: int
    commit_window_seconds: int = 3600
    settle_window_seconds: int = 3600
    pay_by_round: bool = False
    token: str = NATIVE
    stake_wei: int = 0
    allowed: tuple[str, ...] = ()
    target_norm: int = 0
    learning_rate: float = 0
    patience: int = 0
    seal_last_model: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedModel:
    """A model whose integers and salts open the chain's commitment.

    Attributes:
        version: 0 is the genesis model, r + 1 the one after round r.
        parameters: float64[dim].
        data: the model object's bytes. cid: their CID.
        sealed: of a last model that was sealed for the owner: as it is stored, and its key. None otherwise.
    """

    version: int
    parameters: Vector
    data: bytes
    cid: bytes
    sealed: SealedModel | None = None

    @property
    def round(self) -> int:
        """The round that made it; -1 of the genesis model."""
        return self.version - 1


class AsyncOwner:
    """An owner, for programs that are asynchronous themselves; others use `clients.Owner`.

    Args:
        market: the market on its chain.
        aggregator: connection to the aggregator that will serve the tasks.
        account: pays, and gets back what is left.
        prover: derives the keys that the task pins; blocks for seconds, or minutes when they are new.
    """

    def __init__(
        self,
        *,
        market: Market,
        aggregator: AggregatorClient,
        account: LocalAccount,
        prover: Prover,
        log: Log | None = None,
    ) -> None:
        self._market = market
        self._aggregator = aggregator
        self._account = account
        self._signer = CallSigner(account, market.domain)
        self._prover = prover
        self._log = (log or get(role="owner")).bind(owner=account.address)

    async def create_task(
        self, statement: Statement, parameters: Vector, offer: Offer, *, ask_first: bool = False
    ) -> int:
        """Escrows the whole reward and sends the genesis model to the aggregator; returns the task's id.

        Of an ERC-20, the market is allowed exactly the reward first, unless it may take as much already.

        Args:
            parameters: float[dim], where training starts.
            ask_first: let the aggregator send the signed transaction, once it has looked at the terms: what it would
                not serve escrows nothing.
        Raises:
            TermsRefused, TransactionRefused: with `ask_first`, nothing was escrowed.
            InvalidReceipt: with `ask_first`, the chain does not have the task that the aggregator names.
            FieldError: parameters or rounds do not fit the number format, or the learning rate its units; or the rule
                is not defined for as few trainers as the quorum.
            ValueOutOfRange: a term does not fit its type, or an entry of `allowed` is no address.
            UnacceptableTerms: a target that any update meets, or patience without a learning rate.
            SrsError: a test-only string on a chain that is not local.
            InsufficientFunds: the account holds less of the offer's token than the reward.
            FeeOnTransferToken: the token keeps a part of what is sent, so that the market would hold less than it owes.
        """
        model.check_room(slots=statement.slots, rounds=offer.rounds, fmt=statement.fmt)
        statement.rule.outlier.check(offer.quorum, statement.rule_params)
        terms = await asyncio.to_thread(derive, statement, self._prover)
        terms.srs.require_allowed(chain_is_local=self._market.chain.is_local)
        genesis = model.genesis(parameters, statement.fmt, statement.slots)
        data = encode_model(genesis)
        config = await asyncio.to_thread(_config, terms, offer, genesis, cid_of(data))
        check_pace(config)
        await asyncio.to_thread(self._allow, config)
        if ask_first:
            task_id = await self._relayed(config)
        else:
            task_id = await asyncio.to_thread(self._market.create_task, self._account, config)
        self._log.info(
            "task.created", task=task_id, rule=config.rule_name, reward_wei=str(config.total_reward_wei), dim=config.dim
        )
        await self._send_genesis(task_id, data)
        self._log.info("task.genesis_sent", task=task_id, cid=to_text(config.genesis_cid))
        return task_id

    def _allow(self, config: TaskConfig) -> None:
        """Lets the market take the reward, where it is an ERC-20."""
        receipt = allow(self._market, self._account, config.token, config.total_reward_wei)
        if receipt is not None:
            amount = str(config.total_reward_wei)
            self._log.info("token.allowed", token=config.token, amount=amount, gas=receipt["gasUsed"])

    async def _relayed(self, config: TaskConfig) -> int:
        raw = await asyncio.to_thread(sign_create_task, self._market, self._account, config)
        said = await self._aggregator.create_task(raw, self._signer)
        task_id = await asyncio.to_thread(created_task, self._market, keccak(raw))
        if task_id != said:
            raise InvalidReceipt("task_id", said, task_id)
        return said

    async def _send_genesis(self, task_id: int, data: bytes) -> None:
        """The aggregator learns of the task from the chain, a moment after this account."""
        retrying = AsyncRetrying(
            stop=stop_after_delay(_DISCOVERY_SECONDS),
            wait=wait_fixed(0.5),
            retry=retry_if_exception_type(UnknownTask),
            reraise=True,
        )
        await retrying(self._aggregator.upload_genesis, task_id, data, self._signer)

    async def models(self, task_id: int) -> AsyncGenerator[CheckedModel, None]:
        """Each new model as it is published, checked against the chain, until the task is finished.

        Raises:
            UnacceptableTerms: a model does not open the commitment that the contract carries.
        """
        async with aclosing(follow(self._aggregator, task_id, self._log)) as reports:
            async for report in reports:
                if report.report.step == RoundStep.ROUND_STEP_PUBLISHED:
                    yield await self.model(task_id, report.round + 1)

    async def give_references(self, task_id: int, train: LocalTraining) -> None:
        """Sends the owner's own update in each round, until the task is finished.

        A rule with a reference compares the trainers' updates with it; without it a round lapses.

        Args:
            train: local training on data that the owner trusts; called in a thread.
        Raises:
            UnacceptableTerms: a model does not open the commitment that the contract carries.
            NotFinite, InvalidTraining, InvalidReceipt, and what the chain and the aggregator raise.
        """
        async for report in follow(self._aggregator, task_id, self._log):
            if report.report.step == RoundStep.ROUND_STEP_COLLECTING:
                await self._give_reference(task_id, report.round, train)

    async def _give_reference(self, task_id: int, round: int, train: LocalTraining) -> None:
        view = await asyncio.to_thread(self._market.task, task_id)
        collects = view.state == TaskState.OPEN and view.round_state == RoundState.COLLECTING
        if not collects or view.current_round != round:
            return
        config, srs = view.config, self._prover.srs(view.config.k)
        fmt = FixedPoint(bits=config.bits, fraction_bits=config.fractional_bits)
        limit_bytes = model_size_limit_bytes(config.dim)
        data = await self._aggregator.download_model(task_id, round, limit_bytes=limit_bytes)
        opened = await asyncio.to_thread(open_model, data, config.dim, G1Point(*view.model), srs)
        start = _parameters(opened, config)
        trained = await asyncio.to_thread(train, start.copy(), round, learning_rate(view))
        values = quantize(change_of(start, trained), fmt).values
        column, point = await asyncio.to_thread(draw_for_round, values, fmt, srs, round=round, rounds=config.rounds)
        await self.send_reference(view, round, point, encode_update(column, fmt))

    async def send_reference(self, view: TaskView, round: int, point: G1Point, data: bytes) -> None:
        """Sends an update as the round's reference, until it arrives or comes too late.

        Args:
            point: commitment to the update. data: the update object's bytes.
        """
        context, sealed = update_context(self._market.domain, view.task_id, round, self._account.address), b""
        while True:
            try:
                sealed = sealed or seal_update(data, await receiver_of(self._aggregator, view), context)
                receipt = await send_update(
                    market=self._market,
                    aggregator=self._aggregator,
                    account=self._account,
                    signer=self._signer,
                    view=view,
                    round=round,
                    point=point,
                    data=sealed,
                )
            except MISSED as error:
                # Also one that was sent before a restart: the first stays.
                self._log.warning("reference.not_taken", task=view.task_id, round=round, reason=error.message)
            except (AggregatorUnreachable, Refusal) as error:
                if not may_pass(error):
                    raise
                self._log.warning("reference.cannot_send", task=view.task_id, round=round, reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            else:
                self._log.info("reference.sent", task=view.task_id, round=round, cid=to_text(receipt.cid))
            return

    async def model(self, task_id: int, version: int | None = None) -> CheckedModel:
        """A model, checked against the commitment that its round left on chain.

        Args:
            version: 0 is the genesis model, r + 1 the one after round r; None is the newest.
        Raises:
            UnacceptableTerms: it does not open the commitment.
            UnknownModel: there is none of this version, or the aggregator has not published it yet.
            KeyNotShared: it is the last one, which is sealed, and no key for this account is on the chain.
            SealError: that one is not sealed as it should be.
        """
        view = await asyncio.to_thread(self._market.task, task_id)
        version = await self._newest(view) if version is None else version
        config, srs = view.config, self._prover.srs(view.config.k)
        commitment = await self._commitment(view, version)
        data, sealed = await self._fetched(view, version)
        opened = await asyncio.to_thread(open_model, data, config.dim, commitment, srs)
        return CheckedModel(
            version=version, parameters=_parameters(opened, config), data=data, cid=cid_of(data), sealed=sealed
        )

    async def _fetched(self, view: TaskView, version: int) -> tuple[bytes, SealedModel | None]:
        """A model object's bytes, not checked; the last one's are unsealed."""
        dim, task_id = view.config.dim, view.task_id
        if version != await asyncio.to_thread(last_model.sealed_version, self._market, view):
            limit_bytes = model_size_limit_bytes(dim)
            return await self._aggregator.download_model(task_id, version, limit_bytes=limit_bytes), None
        limit_bytes = last_model.size_limit_bytes(dim)
        sealed = await self._aggregator.download_model(task_id, version, limit_bytes=limit_bytes)
        data, key = await asyncio.to_thread(last_model.open_sealed, sealed, self._market, view, self._account)
        return data, SealedModel(data=sealed, key=key)

    async def _newest(self, view: TaskView) -> int:
        current = await asyncio.to_thread(self._market.round, view.task_id, view.current_round)
        return view.current_round + (current.state == RoundState.SETTLED)

    async def _commitment(self, view: TaskView, version: int) -> G1Point:
        """What the chain says that a version commits to."""
        if version == 0:
            return G1Point(*view.config.genesis)
        if not 0 < version <= view.current_round + 1:
            raise UnknownModel(
                f"version: got {version}, but there are at most {view.current_round + 1}", field="version"
            )
        settled = await asyncio.to_thread(self._market.round, view.task_id, version - 1)
        if settled.model is None:
            raise UnknownModel(f"version: the chain has not settled round {version - 1}", field="version")
        return G1Point(*settled.model)

    async def withdraw(self, task_id: int, *, poll_seconds: float = 0.5) -> int:
        """Waits until the task is closed and takes back what was not paid; returns the amount in wei."""
        while True:
            if (await asyncio.to_thread(self._market.task, task_id)).state == TaskState.CLOSED:
                break
            await asyncio.sleep(poll_seconds)
        owed_wei, _ = await asyncio.to_thread(self._market.credit, task_id, self._account.address)
        refunded_wei = 0
        if owed_wei:
            refunded_wei = await asyncio.to_thread(self._market.withdraw, self._account, task_id)
        self._log.info("owner.withdrew", task=task_id, refunded_wei=str(refunded_wei))
        return refunded_wei


def _config(terms: Derived, offer: Offer, genesis: Column, genesis_cid: bytes) -> TaskConfig:
    statement = terms.statement
    return TaskConfig(
        aggregator=offer.aggregator,
        token=offer.token,
        reward_per_round_wei=offer.reward_per_round_wei,
        bond_wei=offer.bond_wei,
        rounds=offer.rounds,
        quorum=offer.quorum,
        slots=statement.slots,
        bits=statement.fmt.bits,
        dim=statement.dim,
        k=statement.logrows,
        fractional_bits=statement.fmt.fraction_bits,
        commit_window_seconds=offer.commit_window_seconds,
        settle_window_seconds=offer.settle_window_seconds,
        pay_by_round=offer.pay_by_round,
        verifier=offer.verifier,
        anchor=anchor_of(statement),
        update_key=terms.update_key.digest,
        rule_vka=terms.rule_keys.vka_digest,
        rule_params=statement.rule_param_words,
        genesis=commit(genesis, terms.srs),
        empty_column=terms.empty_column,
        stake_wei=offer.stake_wei,
        allow_root=allowlist.root_of(offer.allowed),
        target_norm=offer.target_norm,
        learning_rate=pace.to_units(offer.learning_rate),
        patience=offer.patience,
        genesis_cid=genesis_cid,
        rule_name=last_model.labelled(statement.rule.name, seal_last_model=offer.seal_last_model),
    )


def _parameters(opened: Column, config: TaskConfig) -> Vector:
    fmt = FixedPoint(bits=config.bits, fraction_bits=config.fractional_bits)
    return dequantize(opened.values, fmt, denominator=model.denominator(config.slots))
