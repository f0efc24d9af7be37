"""Rounds of a real market: trainers here, an aggregator in a process of its own, gRPC on loopback, an EVM (anvil).

Every round of one task is a run. Trainers quantise random changes, commit, sign and upload; the aggregator's own
reports say how long its steps took and what they cost. The proofs are then downloaded, verified, and put to the
contracts' verifiers by themselves.
"""

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from merit.v1.proofs_pb2 import ProofLayer
from merit.v1.rounds_pb2 import RoundStep, StepReport

from benchmarks.models import Sized
from benchmarks.records import Clock, Record
from circuits.bn254 import G1Point
from circuits.commitment import Column, commit, draw_for_round
from circuits.errors import ProverCrashed
from circuits.fixedpoint import FixedPoint, quantize
from circuits.linear import update_argument
from circuits.model import genesis
from circuits.proof import Proof, to_field
from circuits.prover import Prover
from circuits.statement import Statement
from circuits.worker import end_with_parent
from clients.follow import follow
from clients.sending import receiver_of, send_update
from clients.service import AggregatorClient
from contracts.bindings import Chain, Deployment, Market, TaskConfig, artifacts, deploy, proof_context
from contracts.bindings.devchain import LocalChain, anvil_chain
from contracts.bindings.market import key_struct
from process.keyfile import create_key_file
from process.logs import get
from protocol.calls import CallSigner
from protocol.sealing import seal_update, update_context
from protocol.terms import Derived, derive
from store.cid import cid_of
from store.objects import encode_model, encode_update

_REWARD_WEI = 10**6
_GAS_MONEY_WEI = 10**18
_WINDOW_SECONDS = 24 * 3600
_STEPS = {
    RoundStep.ROUND_STEP_COMMITTED: "commit_round",
    RoundStep.ROUND_STEP_LINEAR_PROVEN: "linear_proof",
    RoundStep.ROUND_STEP_RULE_PROVEN: "rule_proof",
    RoundStep.ROUND_STEP_SETTLED: "settle",
    RoundStep.ROUND_STEP_PUBLISHED: "publish",
}
TRAINER_PARTS = ("quantise", "commit", "upload")
"""What every trainer does; seconds are one trainer's."""
AGGREGATOR_PARTS = tuple(_STEPS.values())
OTHER_PARTS = ("verify_linear", "verify_rule")
"""What anyone does who checks the round."""


def statement_of(model: Sized, *, slots: int, bits: int) -> Statement:
    """multi-Krum with the largest f, and projection: the most work that is usual."""
    return Statement(
        slots=slots,
        dim=model.dim,
        fmt=FixedPoint(bits=bits, fraction_bits=bits - 1),
        rule_params={"f": max(0, (slots - 3) // 2)},
    )


def measure(prover: Prover, model: Sized, *, slots: int, bits: int, runs: int) -> Record:
    """Medians of `runs` rounds with a trainer in every slot."""
    statement = statement_of(model, slots=slots, bits=bits)
    clock = Clock()
    prover.ensure_test_srs(statement.rule_circuit.settings.logrows)
    prover.ensure_test_srs(statement.logrows, provable=True)
    derived = clock.timed("terms", lambda: derive(statement, prover))
    with anvil_chain() as local, tempfile.TemporaryDirectory() as scratch:
        market = _Market(local, prover, derived, model, rounds=runs, clock=clock)
        with _aggregator(market, Path(scratch)) as aggregator:
            asyncio.run(market.run(aggregator.target))
            peak_mib = aggregator.peak_mib()
        return market.record() | {"aggregator_peak_mib": peak_mib}


class _Market:
    """One task on a chain of its own, and its trainers."""

    def __init__(
        self, local: LocalChain, prover: Prover, derived: Derived, model: Sized, *, rounds: int, clock: Clock
    ) -> None:
        self._prover, self._derived, self._model, self._rounds, self._clock = prover, derived, model, rounds, clock
        self.chain = Chain(local.rpc_url)
        funder: LocalAccount = Account.from_key(local.private_keys[0])
        self.owner, self.operator, *self._trainers = (Account.create() for _ in range(derived.statement.slots + 2))
        for account in (self.owner, self.operator, *self._trainers):
            self.chain.transfer(funder, account.address, _GAS_MONEY_WEI)
        self.deployment: Deployment = deploy(self.chain, self.owner)
        self.market = Market(self.chain, self.deployment.market)
        self._genesis = genesis(model.parameters, derived.statement.fmt, derived.statement.slots)
        self._task_id = self.market.create_task(self.owner, self._config())
        for trainer in self._trainers:
            self.market.join(trainer, self._task_id)
        self._points: dict[int, list[G1Point]] = {}
        self._gas: dict[str, int] = {}
        self._calldata_bytes: dict[str, int] = {}
        self._proof_bytes: dict[str, int] = {}

    async def run(self, target: str) -> None:
        """Takes part in every round, and checks each when it is over."""
        async with AggregatorClient(target) as client:
            data = encode_model(self._genesis)
            await client.upload_genesis(self._task_id, data, CallSigner(self.owner, self.market.domain))
            async for report in follow(client, self._task_id, get()):
                if report.report.step == RoundStep.ROUND_STEP_COLLECTING:
                    await self._collect(client, report.round)
                elif report.report.step in _STEPS:
                    await asyncio.to_thread(self._note, _STEPS[report.report.step], report.report)
                if report.report.step == RoundStep.ROUND_STEP_PUBLISHED:
                    await self._check(client, report.round)

    def record(self) -> Record:
        statement, keys = self._derived.statement, self._derived.rule_keys
        assert all(len(self._clock.runs[part]) >= self._rounds for part in (*AGGREGATOR_PARTS, *OTHER_PARTS))
        return {
            "dim": statement.dim,
            "logrows": statement.logrows,
            "rule": statement.rule.name,
            "rule_logrows": statement.rule_circuit.settings.logrows,
            "seconds": self._clock.spreads(),
            "share": self._shares(),
            "gas": self._gas,
            "calldata_bytes": self._calldata_bytes,
            "proof_bytes": self._proof_bytes,
            "key_bytes": {
                "update_key": len(self._derived.update_key.data),
                "rule_vka": 32 * len(keys.vka_words),
                "rule_proving_key": (keys.directory / "pk").stat().st_size,
                "string": self._derived.srs.path.stat().st_size,
            },
        }

    def _shares(self) -> dict[str, float]:
        """Of all work of a round, everybody's counted."""
        medians = {part: spread["median"] for part, spread in self._clock.spreads().items()}
        trainers = len(self._trainers)
        work = {part: medians[part] * trainers for part in TRAINER_PARTS}
        work |= {part: medians[part] for part in (*AGGREGATOR_PARTS, *OTHER_PARTS)}
        total = sum(work.values())
        return {part: round(seconds / total, 4) for part, seconds in work.items()}

    # ------------------------------------------------------------------ trainers

    async def _collect(self, client: AggregatorClient, round: int) -> None:
        """Every trainer's part, one after another, so that each has the machine to itself."""
        view = await asyncio.to_thread(self.market.task, self._task_id)
        for trainer in self._trainers:
            column, point = await asyncio.to_thread(self._update, round)
            context = update_context(self.market.domain, self._task_id, round, trainer.address)
            plain = encode_update(column, self._derived.statement.fmt)
            receiver = await receiver_of(client, view)
            data = seal_update(plain, receiver, context)
            started_at = asyncio.get_running_loop().time()
            await send_update(
                market=self.market,
                aggregator=client,
                account=trainer,
                signer=CallSigner(trainer, self.market.domain),
                view=view,
                round=round,
                point=point,
                data=data,
            )
            self._clock.add("upload", asyncio.get_running_loop().time() - started_at)
            self._points.setdefault(round, []).append(point)

    def _update(self, round: int) -> tuple[Column, G1Point]:
        fmt, srs = self._derived.statement.fmt, self._derived.srs
        change = np.random.default_rng().normal(0, 0.3, self._derived.statement.dim)
        quantized = self._clock.timed("quantise", lambda: quantize(change, fmt))
        return self._clock.timed(
            "commit", lambda: draw_for_round(quantized.values, fmt, srs, round=round, rounds=self._rounds)
        )

    # ------------------------------------------------------------- what it costs

    def _note(self, part: str, report: StepReport) -> None:
        self._clock.add(part, report.seconds)
        if report.gas_used:
            self._gas[part] = report.gas_used
            sent = self.chain.w3.eth.get_transaction(HexBytes(report.transaction))
            self._calldata_bytes[part] = len(sent["input"])

    async def _check(self, client: AggregatorClient, round: int) -> None:
        linear = await client.download_proof(self._task_id, round, ProofLayer.PROOF_LAYER_LINEAR)
        rule = await client.download_proof(self._task_id, round, ProofLayer.PROOF_LAYER_RULE)
        self._proof_bytes = {"linear": len(linear.data), "rule": len(rule.data)}
        await asyncio.to_thread(self._verify, round, linear, rule)

    def _verify(self, round: int, linear: Proof, rule: Proof) -> None:
        """In Python, and by each of the contract's verifiers alone."""
        derived, points = self._derived, self._points[round]
        context = proof_context(self.market.domain, self._task_id, round)
        self._clock.timed(
            "verify_linear",
            lambda: update_argument.verify(derived.update_key, context=context, points=points, proof=linear),
        )
        self._prover.verify(derived.statement.rule_circuit, rule)  # starts the worker
        self._clock.timed("verify_rule", lambda: self._prover.verify(derived.statement.rule_circuit, rule))
        argument = self.chain.contract(self.deployment.update_argument, artifacts.update_argument().abi)
        verifier = self.chain.contract(self.deployment.verifier, artifacts.verifier().abi)
        key = tuple(key_struct(derived.update_key.words).values())
        gram, words = update_argument.pack_gram(linear.instances), list(derived.rule_keys.vka_words)
        calls = {
            "verify_linear": argument.functions.verify(key, context, [tuple(p) for p in points], gram, linear.data),
            "verify_rule": verifier.functions.verifyProof(rule.data, list(map(to_field, rule.instances)), words),
        }
        for name, call in calls.items():
            self._gas[name] = int(call.estimate_gas({"from": self.owner.address}))

    def _config(self) -> TaskConfig:
        derived, statement = self._derived, self._derived.statement
        return TaskConfig(
            aggregator=self.operator.address,
            reward_per_round_wei=_REWARD_WEI,
            bond_wei=_REWARD_WEI,
            rounds=self._rounds,
            quorum=statement.slots,
            slots=statement.slots,
            dim=statement.dim,
            bits=statement.fmt.bits,
            k=statement.logrows,
            fractional_bits=statement.fmt.fraction_bits,
            commit_window_seconds=_WINDOW_SECONDS,
            settle_window_seconds=_WINDOW_SECONDS,
            verifier=self.deployment.verifier,
            update_key=derived.update_key.digest,
            rule_vka=derived.rule_keys.vka_digest,
            rule_params=statement.rule_param_words,
            rule_name=statement.rule.name,
            genesis=commit(self._genesis, derived.srs),
            empty_column=derived.empty_column,
            genesis_cid=cid_of(encode_model(self._genesis)),
        )


@dataclass(frozen=True, kw_only=True)
class _Serving:
    target: str
    process_id: int

    def peak_mib(self) -> int:
        """Of the service and its workers together: each one's largest resident size."""
        service = psutil.Process(self.process_id)
        return sum(_peak_kib(process.pid) for process in (service, *service.children(recursive=True))) >> 10


@contextmanager
def _aggregator(market: _Market, directory: Path) -> Iterator[_Serving]:
    """The aggregator's service in a process of its own."""
    key_file, port = directory / "operator.key", _free_port()
    create_key_file(key_file, market.operator.key.hex())
    fields = {
        "rpc_url": market.chain.rpc_url,
        "market": market.market.address,
        "data_directory": directory / "aggregator",
        "key_file": key_file,
        "port": port,
        "poll_seconds": 0.2,
    }
    process = get_context("spawn").Process(target=_serve, args=(fields, directory / "aggregator.log"))
    process.start()
    try:
        _wait_until_up(process, port, directory / "aggregator.log")
        assert process.pid is not None
        yield _Serving(target=f"127.0.0.1:{port}", process_id=process.pid)
    finally:
        process.terminate()
        process.join(60)
        process.kill()


def _serve(fields: dict[str, Any], log: Path) -> None:
    from aggregator.config import AggregatorConfig  # noqa: PLC0415  (in the child only)
    from aggregator.service import serve  # noqa: PLC0415

    end_with_parent()
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        asyncio.run(serve(AggregatorConfig.model_validate(fields)))


def _peak_kib(process_id: int) -> int:
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0  # it has ended meanwhile
    return int(status.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in status else 0


def _wait_until_up(process: BaseProcess, port: int, log: Path) -> None:
    while process.is_alive():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise ProverCrashed(f"aggregator: it did not start\n{log.read_text() if log.exists() else ''}".rstrip())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
