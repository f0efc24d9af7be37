"""A market on a local chain with a running aggregator, where the rules' proofs are doubles and all else is real.

The double states what the integer reference says, without proving it, and the verifier on chain accepts it; so rounds
take a second, and what is tested is the service. Rounds with real proofs of rules are in test_process.py.
"""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account
from eth_account.signers.local import LocalAccount
from merit.v1.updates_pb2 import Dtype, UpdateHeader

from aggregator.config import AggregatorConfig
from aggregator.jobs import Job
from aggregator.jobs.bench import Bench, Inputs
from aggregator.jobs.pool import Report
from aggregator.service import Aggregator
from circuits.bn254 import G1Point
from circuits.circuit import Circuit
from circuits.commitment import Column, commit, draw_for_round, empty_column
from circuits.fixedpoint import FixedPoint
from circuits.linear.gram import full_matrix
from circuits.model import genesis
from circuits.proof import Proof
from circuits.prover import CircuitKeys, Prover
from circuits.rules import RuleCircuit
from circuits.srs import Srs
from circuits.statement import Statement
from clients.follow import follow
from clients.service import AggregatorClient
from contracts.bindings import Chain, KeyBoard, Market, TaskConfig, artifacts, eip712
from contracts.bindings.deploy import create
from contracts.bindings.devchain import LocalChain
from process.keyfile import create_key_file
from process.logs import get
from protocol import wire
from protocol.calls import CallSigner
from protocol.sealing import seal_update, update_context
from protocol.terms import Derived, anchor_of, derive
from store.cid import cid_of
from store.keywrap import Receiver
from store.objects import decode_update, encode_model, encode_update
from store.sealed import unseal

# Small, with a range that its dtype exceeds, and one slot more than the trainers.
STATEMENT = Statement(
    slots=6, dim=20, fmt=FixedPoint(bits=4, fraction_bits=3), outlier="multi_krum", rule_params={"f": 1}
)
TRAINERS = 5
REWARD_WEI = 1000
BOND_WEI = 1503


class ReferenceProver(Prover):
    """States the integer reference's outputs as if it had proven them.

    Attributes:
        proven: names of the circuits, one a proof made.
    """

    def __init__(self, shared: Prover, directory: Path) -> None:
        self.shared, self._directory = shared, directory
        self._lock = threading.Lock()
        self.proven: list[str] = []

    def close(self) -> None: ...

    def srs(self, k: int) -> Srs:
        return self.shared.srs(k)

    def keys(self, circuit: Circuit) -> CircuitKeys:
        directory = self._directory / circuit.name
        word = hashlib.sha256(circuit.name.encode()).digest()
        with self._lock:
            if not directory.exists():
                directory.mkdir(parents=True)
                (directory / "vka").write_bytes((1).to_bytes(8, "little") + word)
        return CircuitKeys(directory=directory, digest=word.hex())

    def prove(self, circuit: Circuit, inputs: Sequence[Sequence[int]]) -> Proof:
        assert isinstance(circuit, RuleCircuit)
        self.proven.append(circuit.name)
        triangle, active, *rest = inputs
        params = rest[0] if rest else ()
        named = {schema.name: value for schema, value in zip(circuit.rule.params_schema, params, strict=True)}
        accept, score = circuit.rule.reference(full_matrix(triangle, len(active)), active, **named)
        return Proof(data=b"rule", instances=(*triangle, *active, *params, *accept, *score))


class StagePool:
    """One seat in a thread of this process, where rules are proven by the stage's prover."""

    elsewhere = False

    def __init__(self, prover: Prover, place: str, budget_bytes: int) -> None:
        self._seat = StageSeat(prover, place, budget_bytes)

    async def open(self) -> list["StageSeat"]:
        return [self._seat]

    def close(self) -> None: ...


class StageSeat:
    name = "the stage"
    machine = "here"

    def __init__(self, prover: Prover, place: str, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._bench, self._place = Bench(prover), place
        self._unwanted = threading.Event()

    async def make(self, job: Job, report: Report) -> None:
        self._unwanted.clear()

        def progress(*step: Any) -> bool:
            report(*step)
            return not self._unwanted.is_set()

        await asyncio.to_thread(self._bench.make, job, Inputs(self._place), progress)

    async def take(self) -> Proof:
        return self._bench.take()

    def stop(self) -> None:
        self._unwanted.set()

    def kill(self) -> None: ...

    async def replace(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Update:
    """A trainer's update, ready to be sent."""

    trainer: str
    column: Column
    point: G1Point
    data: bytes
    header: UpdateHeader
    signer: CallSigner


class Stage:
    """Owner, aggregator and trainers, a market of their own, and an aggregator that can be stopped and started."""

    def __init__(self, local: LocalChain, shared: Prover, directory: Path) -> None:
        self.rpc_url, self.directory = local.rpc_url, directory
        self.srs = shared.srs(STATEMENT.logrows)
        self.chain = Chain(local.rpc_url)
        accounts: list[LocalAccount] = [Account.from_key(key) for key in local.private_keys]
        self.owner, self.operator, self.outsider, *self.trainers = accounts
        self.verifier, _ = create(self.chain, self.owner, artifacts.forge("AcceptingVerifier", "Verifiers"))
        argument, _ = create(self.chain, self.owner, artifacts.update_argument())
        address, _ = create(self.chain, self.owner, artifacts.market(), argument)
        self.market = Market(self.chain, address)
        self.board = KeyBoard.deploy(self.chain, self.owner)
        self.owner_signer = CallSigner(self.owner, self.market.domain)
        self.prover = ReferenceProver(shared, directory / "keys")
        self.budget_bytes = 1 << 40
        self.key_file = directory / "operator.key"
        create_key_file(self.key_file, self.operator.key.hex())
        start = np.linspace(-0.5, 0.5, STATEMENT.dim)
        self.genesis = genesis(start, STATEMENT.fmt, STATEMENT.slots)
        self.genesis_data = encode_model(self.genesis)

    def derived(self, statement: Statement = STATEMENT) -> Derived:
        """What a statement stands for here."""
        return derive(statement, self.prover)

    def anchored(self, outlier: str, contribution: str, **params: int) -> dict[str, Any]:
        """Changes of honest terms to those of a rule with an anchor, for all trainers of the stage beside it."""
        derived = self.derived(replace(STATEMENT, outlier=outlier, contribution=contribution, rule_params=params))
        statement = derived.statement
        return {
            "anchor": anchor_of(statement),
            "update_key": derived.update_key.digest,
            "rule_vka": derived.rule_keys.vka_digest,
            "rule_params": statement.rule_param_words,
            "rule_name": statement.rule.name,
        }

    def config(self, **changes: object) -> AggregatorConfig:
        fields: dict[str, object] = {
            "rpc_url": self.rpc_url,
            "market": self.market.address,
            "data_directory": self.directory / "aggregator",
            "key_file": self.key_file,
            "poll_seconds": 0.05,
            "drain_seconds": 10,
            "open_when_joined": TRAINERS,
            "key_board": self.board.address,
        }
        return AggregatorConfig.model_validate(fields | changes)

    def aggregator(self, **changes: object) -> Aggregator:
        """One that is not running."""
        config = self.config(**changes)
        pool = StagePool(self.prover, config.objects, self.budget_bytes)
        return Aggregator(config, prover=self.prover, pool=pool)

    @asynccontextmanager
    async def running(self, **changes: object) -> AsyncIterator[tuple[Aggregator, AggregatorClient]]:
        """An aggregator and a connection to it; stopped in order at the end, unless it has ended itself."""
        aggregator = await asyncio.to_thread(self.aggregator, **changes)
        run = asyncio.create_task(aggregator.run())
        try:
            while not aggregator.port:
                await asyncio.sleep(0.01)
                if run.done():
                    await run
            async with AggregatorClient(f"127.0.0.1:{aggregator.port}", patience_seconds=30) as client:
                yield aggregator, client
        finally:
            aggregator.stop()
            with suppress(asyncio.CancelledError):
                await run
            aggregator.close()

    def task_config(self, **changes: object) -> TaskConfig:
        """Honest terms; `changes` replace fields."""
        statement = STATEMENT
        fields: dict[str, object] = {
            "aggregator": self.operator.address,
            "reward_per_round_wei": REWARD_WEI,
            "bond_wei": BOND_WEI,
            "rounds": 2,
            "quorum": TRAINERS,
            "slots": statement.slots,
            "dim": statement.dim,
            "bits": statement.fmt.bits,
            "k": statement.logrows,
            "fractional_bits": statement.fmt.fraction_bits,
            "commit_window_seconds": 3600,
            "settle_window_seconds": 3600,
            "verifier": self.verifier,
            "update_key": statement.update_key(self.srs).digest,
            "rule_vka": self.prover.keys(statement.rule_circuit).vka_digest,
            "rule_params": statement.rule_param_words,
            "rule_name": statement.rule.name,
            "genesis": commit(self.genesis, self.srs),
            "empty_column": commit(empty_column(statement.dim, statement.fmt), self.srs),
            "genesis_cid": cid_of(self.genesis_data),
        }
        return TaskConfig(**(fields | changes))  # type: ignore[arg-type]

    async def create_task(self, *, joined: int = TRAINERS, **changes: object) -> int:
        """A funded task that the first trainers have joined."""
        task_id = await asyncio.to_thread(self.market.create_task, self.owner, self.task_config(**changes))
        for trainer in self.trainers[:joined]:
            await asyncio.to_thread(self.market.join, trainer, task_id)
        return task_id

    async def open_task(self, client: AggregatorClient, **changes: object) -> int:
        """A task whose first round collects."""
        task_id = await self.create_task(**changes)  # type: ignore[arg-type]
        await client.upload_genesis(task_id, self.genesis_data, self.owner_signer)
        await self.reached(client, task_id, 0, 1)
        return task_id

    async def reached(self, client: AggregatorClient, task_id: int, round: int, step: int) -> None:
        """Returns when the aggregator reports a step of a round."""
        async with asyncio.timeout(60):
            async with aclosing(follow(client, task_id, get())) as reports:
                async for report in reports:
                    if (report.round, report.report.step) == (round, step):
                        return
        raise AssertionError(f"the task ended without step {step} of round {round}")

    def draw(self, seed: int, *, round: int = 0, rounds: int = 2, outlier: bool = False) -> Column:
        """A random update for a round, of which those with small seeds resemble each other."""
        rng = np.random.default_rng(seed)
        noise = rng.integers(-1, 2, STATEMENT.dim)
        values = np.arange(STATEMENT.dim) % 5 - 2 + noise
        values = -values.clip(-7, 7) if outlier else values
        drawn = draw_for_round(values.astype(np.int64), STATEMENT.fmt, self.srs, round=round, rounds=rounds)
        return drawn[0]

    def sign(self, trainer: LocalAccount, task_id: int, round: int, point: G1Point, cid: bytes) -> bytes:
        message = eip712.UpdateCommitment(
            task_id=task_id, round=round, point_x=point.x, point_y=point.y, cid_digest=eip712.cid_digest(cid)
        )
        return eip712.sign_update(trainer, self.market.domain, message)

    def update(
        self, task_id: int, round: int, trainer: LocalAccount, column: Column, *, data: bytes | None = None
    ) -> Update:
        """An honest update of these integers; `data` replaces its plain bytes, under a header that fits them."""
        plain = encode_update(column, STATEMENT.fmt) if data is None else data
        return self.sealed_update(task_id, round, trainer, column, self.sealed(plain, task_id, round, trainer))

    def sealed(self, plain: bytes, task_id: int, round: int, trainer: LocalAccount) -> bytes:
        """An update object's bytes as they travel."""
        context = update_context(self.market.domain, task_id, round, trainer.address)
        return seal_update(plain, Receiver.of(self.operator), context)

    def opened(self, data: bytes, task_id: int, round: int, trainer: str) -> Column:
        """What the aggregator reads in an update's sealed bytes."""
        context = update_context(self.market.domain, task_id, round, trainer)
        return decode_update(unseal(data, self.operator, context=context), STATEMENT.dim, STATEMENT.fmt)

    def sealed_update(self, task_id: int, round: int, trainer: LocalAccount, column: Column, data: bytes) -> Update:
        """An update whose bytes are these, whatever they are."""
        point = commit(column, self.srs)
        cid = cid_of(data)
        header = UpdateHeader(
            task_id=task_id,
            round=round,
            cid=cid,
            size_bytes=len(data),
            dtype=Dtype.DTYPE_INT8,
            point=wire.point_message(point),
            signature=self.sign(trainer, task_id, round, point, cid),
        )
        signer = CallSigner(trainer, self.market.domain)
        return Update(trainer=trainer.address, column=column, point=point, data=data, header=header, signer=signer)

    async def send(self, client: AggregatorClient, task_id: int, round: int, *, count: int = TRAINERS) -> list[Update]:
        """Honest updates of the first trainers, of which the last one is an outlier."""
        sent = []
        for index, trainer in enumerate(self.trainers[:count]):
            column = self.draw(
                1000 * round + index, round=round, rounds=max(2, round + 1), outlier=index == TRAINERS - 1
            )
            update = self.update(task_id, round, trainer, column)
            await client.upload_update(update.header, update.data, update.signer)
            sent.append(update)
        return sent
