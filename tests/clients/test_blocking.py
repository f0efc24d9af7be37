"""`from clients import Trainer, Owner`: loops over rounds with a model, with NumPy, and with a function."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from circuits.errors import FieldError, NotFinite
from circuits.model import denominator
from clients import Owner, Trainer
from clients.connection import Connection
from clients.errors import InvalidModel, InvalidParameter, InvalidTraining, MemoryInUse
from clients.loop import Loop
from clients.parameters import Vector, flatten
from clients.service import AggregatorClient
from clients.trainer import Outcome
from process.errors import ConfigurationError, KeyFileError
from protocol import refusals
from protocol.terms import UnacceptableTerms
from tests.stage import BOND_WEI, REWARD_WEI, STATEMENT, TRAINERS, Stage

T = TypeVar("T")

STEP = np.linspace(0.3, 0.6, STATEMENT.dim)
UNIT = 2.0**-STATEMENT.fmt.fraction_bits / denominator(STATEMENT.slots)
SIZES: dict[str, Any] = {"slots": STATEMENT.slots, "rule_params": {"f": 1}, "bits": 4, "fraction_bits": 3}


def small_model() -> torch.nn.Module:
    """20 parameters, and buffers beside them."""
    return torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2))


def train(model: torch.nn.Module, direction: float) -> None:
    """Stands for a training loop: everybody goes about the same way."""
    start = 0
    with torch.no_grad():
        for parameter in model.parameters():
            step = torch.from_numpy(STEP[start : start + parameter.numel()])
            parameter.add_(direction * step.reshape(parameter.shape))
            start += parameter.numel()
    model(torch.randn(8, 4))  # and its running statistics move


class Place:
    """A running aggregator, and programs that use it, each in a thread and with a connection of its own."""

    def __init__(self, stage: Stage, port: int) -> None:
        self.stage, self._port = stage, port

    async def owner(self, act: Callable[[Owner], T]) -> T:
        def program() -> T:
            with self._connected(self.stage.owner) as (connection, loop):
                addresses = {"aggregator": self.stage.operator.address, "verifier": self.stage.verifier}
                with Owner(connection, loop, **addresses) as owner:
                    return act(owner)

        return await asyncio.to_thread(program)

    async def trainer(self, index: int, task: int, act: Callable[[Trainer], T]) -> T:
        def program() -> T:
            with self._connected(self.stage.trainers[index]) as (connection, loop):
                return act(Trainer(connection, loop, task=task))

        return await asyncio.to_thread(program)

    @contextmanager
    def _connected(self, account: Any) -> Iterator[tuple[Connection, Loop]]:
        async def client() -> AggregatorClient:
            return AggregatorClient(f"127.0.0.1:{self._port}", patience_seconds=3)

        loop = Loop()
        try:
            yield (
                Connection(
                    account=account,
                    market=self.stage.market,
                    aggregator=loop.enter(loop.run(client())),
                    prover=self.stage.prover,
                    directory=self.stage.directory / "clients",
                    poll_seconds=0.3,
                ),
                loop,
            )
        finally:
            loop.close()


@pytest.fixture
async def place(stage: Stage) -> AsyncIterator[Place]:
    async with stage.running() as (aggregator, _):
        yield Place(stage, aggregator.port)


def offered(model: torch.nn.Module | Vector, **changes: Any) -> Callable[[Owner], int]:
    terms = SIZES | {"reward_per_round_wei": REWARD_WEI, "rounds": 2, "bond_wei": BOND_WEI} | changes
    return lambda owner: owner.create_task(model, **terms)


# ------------------------------------------------------------------ the whole way


async def test_a_market_of_loops(place: Place) -> None:
    first = small_model()
    start = flatten(first)
    task = await place.owner(offered(first, quorum=TRAINERS, learning_rate=0.5))

    def with_a_model(trainer: Trainer) -> tuple[int, list[Outcome]]:
        model = small_model()
        for round in trainer.rounds(model):
            assert np.abs(flatten(model) - round.parameters).max() < 1e-6
            assert round.learning_rate == 0.5
            train(model, 1)
        return trainer.withdraw(), trainer.history()

    def with_numpy(trainer: Trainer) -> tuple[int, list[Outcome]]:
        for round in trainer.rounds():
            assert round.submit(round.parameters + STEP)
            assert round.missed is None
        return trainer.withdraw(), trainer.history()

    def against(trainer: Trainer) -> tuple[int, list[Outcome]]:
        paid_wei = trainer.run(lambda parameters, *_: parameters - STEP)
        return paid_wei, trainer.history()

    def owned(owner: Owner) -> tuple[Vector, list[int]]:
        versions = [checked.version for checked in owner.models(task)]
        found = small_model()
        assert owner.load(found, task).version == 2
        loaded = flatten(found)
        owner.load(found, task, 0)
        assert np.abs(flatten(found) - start).max() < UNIT
        with pytest.raises(refusals.UnknownModel):
            owner.load(found, task, 3)
        with pytest.raises(UnacceptableTerms) as caught:
            owner.load(torch.nn.Linear(1, 1), task)
        assert caught.value.field == "dim"
        return loaded, versions

    programs = [with_a_model, with_a_model, with_numpy, with_numpy, against]
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(place.trainer(i, task, act)) for i, act in enumerate(programs)]
        owning = group.create_task(place.owner(owned))
    loaded, versions = owning.result()
    refunded = await place.owner(lambda owner: owner.withdraw(task))

    assert versions == [1, 2]
    # What one round rounds away goes into the next.
    assert np.abs(loaded - start - 2 * STEP).max() < 0.07
    paid = [task.result()[0] for task in running]
    histories = [task.result()[1] for task in running]
    assert sum(paid) + refunded == 2 * REWARD_WEI
    for index, history in enumerate(histories):
        assert [outcome.round for outcome in history] == [0, 1]
        assert all(outcome.sent for outcome in history)
        assert [outcome.accepted for outcome in history] == [index != TRAINERS - 1] * 2
        assert sum(outcome.paid_wei for outcome in history) == paid[index]
    assert all(paid[:-1])
    # What could be claimed was claimed.
    assert await place.trainer(0, task, Trainer.withdraw) == 0


async def test_an_owner_gives_references_beside_its_models(place: Place) -> None:
    terms = {"rule": "aligned+shapley", "rule_params": {}, "quorum": TRAINERS, "rounds": 1}
    task = await place.owner(offered(STEP, **terms))
    owning = place.owner(
        lambda owner: [
            found.version for found in owner.models(task, reference=lambda parameters, *_: parameters + 0.5 * STEP)
        ]
    )
    training = [
        place.trainer(index, task, lambda trainer: trainer.run(lambda parameters, *_: parameters + STEP))
        for index in range(TRAINERS)
    ]
    versions, *paid = await asyncio.gather(owning, *training)
    assert versions == [1]
    assert all(paid)
    assert place.stage.market.round(task, 0).trainers[0] == place.stage.owner.address


async def test_defaults_of_a_task_are_terms_that_hold(place: Place) -> None:
    task = await place.owner(offered(np.zeros(5), slots=8, rule_params=None, bond_wei=None))
    config = place.stage.market.task(task).config
    assert (config.rule_name, config.rule_params, config.quorum) == ("multi_krum+projection", (1,), 5)
    assert config.bond_wei == config.reward_per_round_wei == REWARD_WEI
    sealed = await place.owner(offered(np.zeros(5), slots=8, rule_params=None, seal_last_model=True))
    assert place.stage.market.task(sealed).config.rule_name == "multi_krum+projection+sealed"


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"rule": "multi_krum"}, FieldError, "contribution"),
        ({"rule": "mad+projection", "rule_params": None}, FieldError, "rule_params[c]"),
        ({"slots": 4}, FieldError, "slots"),
        ({"bits": 7}, FieldError, "bits"),
        ({"quorum": 4}, FieldError, "rule_params[f]"),
    ],
)
async def test_a_task_that_makes_no_sense_costs_nothing(
    changes: dict[str, Any], error: type[Any], field: str, place: Place
) -> None:
    before = place.stage.market.task_count()
    with pytest.raises(error) as caught:
        await place.owner(offered(np.zeros(5), **changes))
    assert caught.value.field == field
    assert place.stage.market.task_count() == before


# ------------------------------------------------------------------- in a round


async def test_a_model_of_another_size_does_not_join(place: Place) -> None:
    task = await place.stage.create_task(joined=0)
    async with AggregatorClient(f"127.0.0.1:{place._port}") as client:
        await client.upload_genesis(task, place.stage.genesis_data, place.stage.owner_signer)

    def loop(trainer: Trainer) -> None:
        for _ in trainer.rounds(torch.nn.Linear(1, 1)):
            raise AssertionError

    with pytest.raises(UnacceptableTerms) as caught:
        await place.trainer(0, task, loop)
    assert caught.value.field == "dim"
    assert not place.stage.market.has_joined(task, place.stage.trainers[0].address)


async def test_a_model_without_parameters_is_refused_before_anything(place: Place) -> None:
    with pytest.raises(InvalidModel):
        await place.trainer(0, 1, lambda trainer: trainer.rounds(torch.nn.ReLU()))


async def test_a_body_that_raises_or_leaves_sends_nothing(place: Place) -> None:
    stage = place.stage
    async with AggregatorClient(f"127.0.0.1:{place._port}") as client:
        task = await stage.open_task(client)

        def raising(trainer: Trainer) -> None:
            for _ in trainer.rounds(small_model()):
                raise ZeroDivisionError

        def leaving(trainer: Trainer) -> None:
            for _ in trainer.rounds(small_model()):
                break

        def diverging(trainer: Trainer) -> None:
            model = small_model()
            for _ in trainer.rounds(model):
                with torch.no_grad():
                    model[2].bias[1] = torch.nan  # type: ignore[index, operator, union-attr]

        def not_finite(trainer: Trainer) -> None:
            for round in trainer.rounds():
                round.submit(round.parameters * np.nan)

        def wrong(trainer: Trainer) -> None:
            for round in trainer.rounds():
                round.submit(round.parameters[1:])

        with pytest.raises(ZeroDivisionError):
            await place.trainer(0, task, raising)
        await place.trainer(0, task, leaving)
        with pytest.raises(InvalidParameter) as caught:
            await place.trainer(0, task, diverging)
        assert caught.value.name == "2.bias"
        with pytest.raises(NotFinite):
            await place.trainer(0, task, not_finite)
        with pytest.raises(InvalidTraining):
            await place.trainer(0, task, wrong)
        with pytest.raises(refusals.UnknownUpdate):
            await client.update_status(task, 0, stage.trainers[0].address)

        # After all that, the round still takes the trainer's update; what comes twice is sent once.
        def honest(trainer: Trainer) -> None:
            for round in trainer.rounds():
                assert round.submit(round.parameters + STEP)
                assert round.submit(round.parameters - STEP)
                return

        await place.trainer(0, task, honest)
        await client.update_status(task, 0, stage.trainers[0].address)


async def test_one_program_at_a_time_takes_part(place: Place) -> None:
    async with AggregatorClient(f"127.0.0.1:{place._port}") as client:
        task = await place.stage.open_task(client)
    second: list[BaseException] = []

    def twice(trainer: Trainer) -> None:
        for _ in trainer.rounds():
            try:
                next(iter(trainer.rounds()))
            except MemoryInUse as error:
                second.append(error)
            break

    await place.trainer(0, task, twice)
    assert second


# --------------------------------------------------------------------- connecting


def test_settings_come_from_a_file_and_the_call(tmp_path: Path) -> None:
    file = tmp_path / "merit.toml"
    file.write_text('[chain]\nrpc_url = "http://127.0.0.1:1"\nmarket = "0x00"\n[client]\naggregator_target = 7\n')
    with pytest.raises(ConfigurationError) as caught:
        Trainer.connect(file, task=1)
    assert caught.value.field.endswith("aggregator_target")
    with pytest.raises(ConfigurationError) as caught:
        Trainer.connect(file, task=1, aggregator_target="127.0.0.1:1", unknown=1)
    assert caught.value.field.endswith("unknown")
    with pytest.raises(KeyFileError):
        Trainer.connect(file, task=1, aggregator_target="127.0.0.1:1", key_file=tmp_path / "none")
    with pytest.raises(ConfigurationError) as caught:
        Trainer.connect(task=1, rpc_url="http://127.0.0.1:1", market="0x00")
    assert caught.value.field.endswith("aggregator_target")


async def test_a_task_needs_an_aggregator_and_a_verifier(place: Place) -> None:
    def program() -> None:
        with place._connected(place.stage.owner) as (connection, loop):
            Owner(connection, loop).create_task(np.zeros(5), reward_per_round_wei=1, rounds=1)

    with pytest.raises(ConfigurationError) as caught:
        await asyncio.to_thread(program)
    assert caught.value.field == "aggregator"


def test_numpy_alone_needs_no_torch() -> None:
    """Importing, configuring and every integer of a rule: with torch out of reach, and before it is asked for."""
    program = """
import sys
sys.modules["torch"] = None  # importing it fails
from circuits.model import denominator
from clients import Owner, Trainer
from circuits import rules
from circuits.statement import DEMO_STATEMENT
from circuits.rules.multi_krum import MultiKrum
gram = [[int(i == j) for j in range(8)] for i in range(8)]
accept, score = DEMO_STATEMENT.rule.reference(gram, [1] * 8, f=2)
assert sum(accept) == 8 and DEMO_STATEMENT.rule_circuit.settings
for rule in rules.combinations():
    rule.limits(8, 100, 8)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
