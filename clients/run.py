"""Client processes of the demo's model: a configuration in, events on standard output."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace

from circuits import rules
from circuits.fixedpoint import FixedPoint
from circuits.statement import Statement
from clients import attacks
from clients.attacks.trainer import Attacker
from clients.baseline import trained
from clients.bundle import Bundle
from clients.collect import Collector
from clients.config import OfferConfig, OwnerConfig, PrivacyConfig, RecipeConfig, StatementConfig, TrainerConfig
from clients.connection import connected
from clients.data import Samples, digits
from clients.local_training import LocalTraining
from clients.owner import AsyncOwner, Offer
from clients.parameters import Vector, flatten, unflatten
from clients.privacy import Mechanism, PrivateGradients, gradients_of
from clients.trainer import AsyncTrainer
from clients.training import Recipe, accuracy, softmax_regression
from process import logs
from process.errors import ConfigurationError


async def run_trainer(config: TrainerConfig, *, human: bool = False) -> int:
    """Trains until the task is closed; returns what was paid out, in wei.

    Raises:
        UnacceptableTerms: the trainer refuses the task. And what `AsyncTrainer.run` does.
    """
    train = training_of(config)
    logs.configure(config.log_level, human=human)
    async with connected(config) as tools:
        trainer = AsyncTrainer(
            market=tools.market,
            task_id=config.task_id,
            aggregator=tools.aggregator,
            account=tools.account,
            prover=tools.prover,
            directory=config.directory,
            poll_seconds=config.poll_seconds,
            allowed=config.allowed,
            max_stake_wei=config.max_stake_wei,
            stake_token=config.stake_token,
        )
        return await trainer.run(train)


async def run_owner(config: OwnerConfig, *, human: bool = False) -> int:
    """Creates a task and follows it to its end; returns its id. Models and proofs are gathered as a bundle.

    Raises:
        ConfigurationError: the rule has a reference, and there is no shard for it, or the other way round.
        UnacceptableTerms: a model does not open the chain's commitment. And what `AsyncOwner` does.
    """
    logs.configure(config.log_level, human=human)
    log = logs.get(role="owner")
    train = reference_of(config)
    _, test = digits(seed=config.data.seed, weights=config.data.weights)
    model = softmax_regression()
    async with connected(config) as tools:
        owner = AsyncOwner(market=tools.market, aggregator=tools.aggregator, account=tools.account, prover=tools.prover)
        start = flatten(model)
        task_id = await owner.create_task(statement_of(config.statement, dim=len(start)), start, offer_of(config))
        collector = Collector(
            Bundle(config.bundle or config.directory),
            market=tools.market,
            aggregator=tools.aggregator,
            prover=tools.prover,
            task_id=task_id,
        )
        await collector.begin()
        verified = 0
        async with _beside(owner.give_references(task_id, train) if train else None):
            async for checked in owner.models(task_id):
                unflatten(model, checked.parameters)
                log.info("round.evaluated", task=task_id, round=checked.round, accuracy=accuracy(model, test))
                await collector.add(checked)
                verified = checked.version
        rounds = (await asyncio.to_thread(tools.market.task, task_id)).current_round + 1
        log.info("model.verified", task=task_id, version=verified, complete=verified == rounds)
        await owner.withdraw(task_id)
        return task_id


def offer_of(config: OfferConfig) -> Offer:
    """The offer of a configuration, beside its statement."""
    return Offer(
        aggregator=config.aggregator,
        verifier=config.verifier,
        reward_per_round_wei=config.reward_per_round_wei,
        bond_wei=config.bond_wei,
        rounds=config.rounds,
        quorum=config.quorum,
        commit_window_seconds=config.commit_window_seconds,
        settle_window_seconds=config.settle_window_seconds,
        pay_by_round=config.pay_by_round,
        token=config.token,
        stake_wei=config.stake_wei,
        allowed=config.allowed,
        target_norm=config.target_norm,
        learning_rate=config.learning_rate,
        patience=config.patience,
        seal_last_model=config.seal_last_model,
    )


def statement_of(config: StatementConfig, *, dim: int) -> Statement:
    """The statement of a configuration (FieldError if there is no such)."""
    return Statement(
        slots=config.slots,
        dim=dim,
        fmt=FixedPoint(bits=config.bits, fraction_bits=config.fraction_bits),
        logrows=config.logrows,
        outlier=config.outlier,
        contribution=config.contribution,
        rule_params=config.rule_params,
    )


def reference_of(config: OwnerConfig) -> LocalTraining | None:
    """Local training of the owner's reference; None where the rule has none.

    Raises:
        ConfigurationError: the rule has a reference, and there is no shard for it, or the other way round.
    """
    asked = config.statement
    wanted = rules.load(asked.outlier, asked.contribution).anchor is rules.Anchor.REFERENCE
    shard, shards = config.reference_shard, len(config.data.weights)
    if wanted != (shard is not None) or (shard is not None and shard >= shards):
        limit = f"one of the {shards} shards" if wanted else f"none for {asked.outlier}+{asked.contribution}"
        raise ConfigurationError(f"reference_shard: got {shard}, but it must be {limit}", "reference_shard")
    if shard is None:
        return None
    samples, _ = digits(seed=config.data.seed, weights=config.data.weights)
    return _training(samples[shard], recipe_of(config.recipe, shard))


def recipe_of(config: RecipeConfig, shard: int) -> Recipe:
    """Each trainer goes through its shard in an order of its own."""
    return Recipe(
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        seed=config.seed * 1000 + shard,
    )


def training_of(config: TrainerConfig) -> LocalTraining:
    """Local training as the configuration's behaviour has it.

    Raises:
        ConfigurationError: there is no such shard, or the trainer is not among its colluders.
    """
    group = config.colluders or (config.shard,)
    for shard in (config.shard, *group):
        if not 0 <= shard < len(config.data.weights):
            raise ConfigurationError(f"shard: got {shard}, but there are {len(config.data.weights)}", "shard")
    if config.shard not in group:
        raise ConfigurationError(
            f"colluders: got {list(group)}, but the trainer's shard is {config.shard}", "colluders"
        )
    shards, _ = digits(seed=config.data.seed, weights=config.data.weights)
    if config.behaviour == "honest" and config.privacy is not None:
        return _private_training(shards[config.shard], config.privacy)
    if config.behaviour == "honest":
        return _training(shards[config.shard], recipe_of(config.recipe, config.shard))
    attack = attacks.load(config.behaviour)
    members = group if attack.colluding else (config.shard,)
    trains = [_training(attack.poison(shards[i]), recipe_of(config.recipe, i)) for i in members]
    seed = config.recipe.seed * 1000 + members[0]
    return Attacker(attack, trains, position=members.index(config.shard), seed=seed)


def _training(shard: Samples, recipe: Recipe) -> LocalTraining:
    def train(parameters: Vector, round: int, learning_rate: float | None) -> Vector:
        asked = recipe if learning_rate is None else replace(recipe, learning_rate=learning_rate)
        return trained(parameters, shard, asked, round)

    return train


def _private_training(shard: Samples, how: PrivacyConfig) -> LocalTraining:
    mechanism = Mechanism.within(how.epsilon, releases=how.rounds * how.steps, clip_norm=how.clip_norm, delta=how.delta)
    gradients = gradients_of(softmax_regression(shard.inputs.shape[1]), shard)
    return PrivateGradients(gradients, mechanism, samples=len(shard), steps=how.steps, learning_rate=how.learning_rate)


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None] | None) -> AsyncIterator[None]:
    """Something else goes on beside the block; both have to end well."""
    task = asyncio.create_task(work) if work else None
    try:
        yield
        if task:
            await task
    finally:
        if task:
            task.cancel()
