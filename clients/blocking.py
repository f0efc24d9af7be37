"""What `from clients import Trainer, Owner` gives: a market from an ordinary program, which trains and waits.

Everything happens in `AsyncTrainer` and `AsyncOwner`; here their loop has a thread of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import structlog

from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.statement import Statement
from clients.connection import Connection, UserConfig, configured, connected
from clients.local_training import LocalTraining
from clients.loop import Loop
from clients.owner import AsyncOwner, CheckedModel, Offer
from clients.parameters import Parameters, Vector
from clients.trainer import AsyncRound, AsyncTrainer, Outcome
from contracts.bindings import NATIVE
from process import logs
from process.errors import ConfigurationError
from protocol.terms import UnacceptableTerms

if TYPE_CHECKING:
    import torch

_MIN_QUORUM = 3
_OUTLIERS_SHARE = 4


class _Client:
    """A connection and the thread that serves it; a context manager."""

    def __init__(self, connection: Connection, loop: Loop) -> None:
        self._connection = connection
        self._loop = loop

    def close(self) -> None:
        """Ends the connection; what was signed and not sent is sent by the next one."""
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(file: str | Path | None, given: Mapping[str, object]) -> tuple[Connection, Loop, UserConfig]:
    config = configured(Path(file) if file is not None else None, given)
    if not structlog.is_configured():
        logs.configure("warning")
    loop = Loop()
    try:
        return loop.enter(connected(config)), loop, config
    except BaseException:
        loop.close()
        raise


class Round:
    """A round that waits for this trainer's update.

    Attributes:
        number: counted from 0.
        parameters: float64[dim], the global model that training starts from.
        learning_rate: the one that the task asks for; None where it leaves that to its trainers.
    """

    def __init__(self, inner: AsyncRound, loop: Loop) -> None:
        self._inner, self._loop = inner, loop
        self.number, self.parameters, self.learning_rate = inner.number, inner.parameters, inner.learning_rate

    def submit(self, parameters: Vector) -> bool:
        """Sends what the parameters, any float[dim], have become by local training; whether the round took it.

        Raises:
            InvalidTraining: they are not the model's float vector.
            NotFinite: an entry is NaN or infinite.
        """
        return self._loop.run(self._inner.submit(parameters))

    @property
    def missed(self) -> Exception | None:
        """Why the round did not take the update, such as `LateUpdate`; None if it did, or nothing was sent yet."""
        return self._inner.missed

    def _submit_change(self, change: Vector) -> None:
        if not self._inner.is_sent:
            self._loop.run(self._inner.submit_change(change))


class Trainer(_Client):
    """One trainer of one task.

        with Trainer.connect("merit.toml", task=1) as trainer:
            for round in trainer.rounds(model):
                ...  # train `model`
            trainer.withdraw()

    Args:
        task: its id.
        allowed: addresses of those who may join, as the owner gave them; empty for a task that is open to all.
        max_stake_wei: most that the account is willing to post, and to let the market take.
        stake_token: the ERC-20 that a stake may be in; by default the native currency.
    """

    def __init__(
        self,
        connection: Connection,
        loop: Loop,
        *,
        task: int,
        allowed: Sequence[str] = (),
        max_stake_wei: int = 0,
        stake_token: str = NATIVE,
    ) -> None:
        super().__init__(connection, loop)
        self._inner = AsyncTrainer(
            market=connection.market,
            task_id=task,
            aggregator=connection.aggregator,
            account=connection.account,
            prover=connection.prover,
            directory=connection.directory_of(task),
            poll_seconds=connection.poll_seconds,
            allowed=allowed,
            max_stake_wei=max_stake_wei,
            stake_token=stake_token,
        )

    @classmethod
    def connect(
        cls,
        file: str | Path | None = None,
        *,
        task: int,
        allowed: Sequence[str] = (),
        max_stake_wei: int = 0,
        stake_token: str = NATIVE,
        **settings: object,
    ) -> Self:
        """A trainer of a market that a configuration file names.

        Args:
            file: TOML with the sections [chain] and [client].
            settings: fields of `UserConfig`, which go before the file's.
        Raises:
            ConfigurationError: naming the field.
            KeyFileError, ChainUnavailable.
        """
        connection, loop, _ = _open(file, settings)
        try:
            return cls(
                connection, loop, task=task, allowed=allowed, max_stake_wei=max_stake_wei, stake_token=stake_token
            )
        except BaseException:
            loop.close()
            raise

    def rounds(self, model: torch.nn.Module | None = None) -> Iterator[Round]:
        """Each round until the task is closed; terms are checked, and the task is joined, before the first.

        With a model, it holds the global parameters when a round begins, and what they have become is sent when the
        loop's body ends. Without one, the body calls `Round.submit`. A round whose body raises, or leaves the loop, is
        not sent. One whose update was made before this program was started again is sent that, and not repeated.

        Raises:
            InvalidModel: its parameters cannot be trained in a market.
            UnacceptableTerms: the terms, or a model, are not what an honest task has.
            MemoryInUse: another process trains with this account for the task.
            NotFinite, InvalidReceipt, and what the chain and the aggregator raise.
        """
        return self._rounds(None if model is None else Parameters(model))

    def _rounds(self, model: Parameters | None) -> Iterator[Round]:
        for inner in self._loop.iterate(self._inner.rounds(dim=model.dim if model else None)):
            round = Round(inner, self._loop)
            if model is None:
                yield round
                continue
            model.write(round.parameters)
            # What the model made of the parameters: to its own precision, it starts there.
            start = model.read()
            yield round
            round._submit_change(model.read() - start)

    def run(self, train: LocalTraining) -> int:
        """Trains by a function until the task is closed; returns what was paid out, in wei.

        Args:
            train: (parameters float64[dim], round, learning rate or None) -> parameters; called in another thread.
        Raises:
            What `rounds` does, and InvalidTraining.
        """
        return self._loop.run(self._inner.run(train))

    def history(self) -> list[Outcome]:
        """What the chain says of each settled round: accepted, score, pay; oldest first."""
        return self._loop.run(self._inner.history())

    def withdraw(self) -> int:
        """Collects what the task owes, once it can be claimed; returns the amount in wei."""
        return self._loop.run(self._inner.withdraw())


class Owner(_Client):
    """An owner of tasks.

        with Owner.connect("merit.toml") as owner:
            task = owner.create_task(model, reward_per_round_wei=10**18, rounds=10)
            for version in owner.models(task):
                owner.load(model, task, version.version)
            owner.withdraw(task)

    Args:
        aggregator: address of the account that serves its tasks. verifier: of the rules' proofs.
    """

    def __init__(self, connection: Connection, loop: Loop, *, aggregator: str = "", verifier: str = "") -> None:
        super().__init__(connection, loop)
        self._aggregator, self._verifier = aggregator, verifier
        self._inner = AsyncOwner(
            market=connection.market,
            aggregator=connection.aggregator,
            account=connection.account,
            prover=connection.prover,
        )

    @classmethod
    def connect(
        cls, file: str | Path | None = None, *, aggregator: str = "", verifier: str = "", **settings: object
    ) -> Self:
        """An owner in a market that a configuration file names; as `Trainer.connect`."""
        connection, loop, config = _open(file, settings)
        return cls(connection, loop, aggregator=aggregator or config.aggregator, verifier=verifier or config.verifier)

    def create_task(
        self,
        model: torch.nn.Module | Vector,
        *,
        reward_per_round_wei: int,
        rounds: int,
        rule: str = "multi_krum+projection",
        rule_params: Mapping[str, int] | None = None,
        slots: int = 8,
        quorum: int | None = None,
        bits: int = 8,
        fraction_bits: int = 8,
        bond_wei: int | None = None,
        **terms: Any,
    ) -> int:
        """Escrows the whole reward and sends the first model to the aggregator; returns the task's id.

        Args:
            model: where training starts: its trainable parameters, or float[dim].
            reward_per_round_wei: split among a round's accepted trainers by score.
            rule: an outlier rule and a contribution rule (`merit rules list`).
            rule_params: of the outlier rule; by default multi_krum may find a quarter of the slots to be outliers.
            slots: most trainers of a round. quorum: fewest; by default as few as the rule is defined for, at least 3.
            bits, fraction_bits: a parameter may change by 2^(bits - 1 - fraction_bits) in a round, in steps of
                2^-fraction_bits; trainers carry over what that takes away.
            bond_wei: what the aggregator loses if it does not settle; by default one round's reward.
            terms: other fields of `Offer`: token, windows, stake, who may join, learning rate, target.
        Raises:
            ConfigurationError: neither the file nor `connect` names the aggregator's account and the verifier.
            InvalidModel: its parameters cannot be trained in a market.
            What `AsyncOwner.create_task` does.
        """
        for field, value in (("aggregator", self._aggregator), ("verifier", self._verifier)):
            if not value:
                raise ConfigurationError(f"{field}: it is needed to create a task", field)
        start = model if isinstance(model, np.ndarray) else Parameters(model).read()
        outlier, _, contribution = rule.partition("+")
        statement = Statement(
            slots=slots,
            dim=len(start),
            fmt=FixedPoint(bits=bits, fraction_bits=fraction_bits),
            outlier=outlier,
            contribution=contribution,
            rule_params=_usual_params(outlier, slots) if rule_params is None else rule_params,
        )
        offer = Offer(
            aggregator=self._aggregator,
            verifier=self._verifier,
            reward_per_round_wei=reward_per_round_wei,
            bond_wei=reward_per_round_wei if bond_wei is None else bond_wei,
            rounds=rounds,
            quorum=_fewest(statement) if quorum is None else quorum,
            **terms,
        )
        return self._loop.run(self._inner.create_task(statement, start, offer))

    def models(self, task: int, *, reference: LocalTraining | None = None) -> Iterator[CheckedModel]:
        """Each new model as it is published, checked against the chain, until the task is finished.

        Args:
            reference: the owner's own training, on data that it trusts, in each round: for a rule that compares the
                trainers' updates with it. Called in another thread.
        Raises:
            UnacceptableTerms: a model does not open the commitment that the contract carries.
            What `AsyncOwner.give_references` does.
        """
        giving = self._loop.start(self._inner.give_references(task, reference)) if reference else None
        try:
            yield from self._loop.iterate(self._inner.models(task))
            if giving:
                giving.result()
        finally:
            if giving:
                giving.cancel()

    def load(self, model: torch.nn.Module, task: int, version: int | None = None) -> CheckedModel:
        """Writes a model of the task into the trainable parameters of a PyTorch model, once it is checked.

        Buffers, such as the running statistics of batch normalisation, are nobody's parameters, and stay as they are.

        Args:
            version: 0 is the genesis model, r + 1 the one after round r; by default the newest.
        Raises:
            UnacceptableTerms: it does not open the chain's commitment, or is of another dim.
            InvalidModel, InvalidParameter: see `Parameters`.
            UnknownModel: there is no such version yet.
        """
        parameters = Parameters(model)
        checked = self._loop.run(self._inner.model(task, version))
        if len(checked.parameters) != parameters.dim:
            raise UnacceptableTerms("dim", len(checked.parameters), f"the model has {parameters.dim} parameters")
        parameters.write(checked.parameters)
        return checked

    def withdraw(self, task: int) -> int:
        """Waits until the task is closed and takes back what was not paid; returns the amount in wei."""
        return self._loop.run(self._inner.withdraw(task))


def _usual_params(outlier: str, slots: int) -> Mapping[str, int]:
    """Other rules' parameters depend on the data: they are asked for."""
    return {"f": max(0, slots - _MIN_QUORUM) // _OUTLIERS_SHARE} if outlier == "multi_krum" else {}


def _fewest(statement: Statement) -> int:
    """The fewest trainers that the rule is defined for, at least 3."""
    for quorum in range(min(_MIN_QUORUM, statement.slots), statement.slots + 1 - statement.anchors):
        try:
            statement.rule.outlier.check(quorum, statement.rule_params)
        except FieldError:
            continue
        return quorum
    raise FieldError("slots", statement.slots, f"{statement.rule.name} is not defined for so few trainers")
