"""What an aggregator takes in: a real process, a real chain, 100 trainers that send at once, 1,000 that watch.

    python -m benchmarks.ingest [--dim D] [--trainers N] [--waves W] [--watchers N] [--json]

Each trainer sends one update to each of W tasks over a connection of its own, the next as soon as the last one has
left, without waiting for its receipt: bytes come as fast as they are taken, and checks queue behind them. Updates are
sealed before the clock starts, as trainers do on machines of their own. Printed are

- MB/s: bytes on the server's disk, from the first to the last, while checks of what came before go on,
- updates/s: receipts, from the first byte to the last receipt,
- p50, p99 of the time from an update's first byte to its receipt,
- the server's memory before, and its ceiling; a second line with twice the waves shows that it does not grow with them,
- what 1,000 watchers (a connection each) saw, and that every acknowledged update is in the store.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
from eth_account import Account
from eth_account.signers.local import LocalAccount
from merit.v1 import rounds_pb2, rounds_pb2_grpc, updates_pb2, updates_pb2_grpc

from circuits import model
from circuits.bn254 import G1Point, sum_points
from circuits.commitment import Column, commit, draw_salts, smallest_logrows
from circuits.fixedpoint import FixedPoint
from circuits.prover import Prover
from circuits.statement import Statement
from clients.service import AggregatorClient
from contracts.bindings import Chain, Domain, Market, TaskConfig, deploy, eip712, leash
from contracts.bindings.devchain import anvil_chain
from process.keyfile import create_key_file
from protocol import wire
from protocol.calls import UPLOAD_UPDATE, CallSigner
from protocol.sealing import seal_update, sealed_update_size_bytes, update_context
from protocol.terms import anchor_of, derive
from store.cid import cid_of, to_text
from store.keywrap import Receiver
from store.objects import encode_model, encode_update

FMT = FixedPoint(bits=8, fraction_bits=7)
SLOTS = 32
# Of a round's 32 slots, so that no round is sealed, and nothing proven, while it is measured.
TRAINERS_A_TASK = 25
SENDERS = 2  # processes
_GAS_WEI = 10**18
_OPTIONS = [*wire.CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True, kw_only=True)
class Line:
    """Attributes:
    received_seconds: from the first byte to the last one on disk. acknowledged_seconds: to the last receipt.
    megabytes_a_cpu_second: by the CPU time of the server's own process until then: what a busy machine does not change.
    """

    trainers: int
    waves: int
    dim: int
    updates: int
    megabytes: float
    received_seconds: float
    megabytes_a_second: float
    acknowledged_seconds: float
    updates_a_second: float
    megabytes_a_cpu_second: float
    receipt_p50_seconds: float
    receipt_p99_seconds: float
    rss_before_mib: int
    rss_ceiling_mib: int
    lost: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one trainer sends.

    Attributes:
        receiver: the aggregator's public key.
    """

    key: bytes
    receiver: bytes
    salts: bytes
    tasks: tuple[int, ...]
    points: tuple[bytes, ...]


# ------------------------------------------------------------------- senders


def send(port: int, domain: Domain, jobs: list[Job], base: bytes, pipe: Connection) -> None:
    """A process of trainers: says when it is ready, sends when it is told, reports (task, trainer, cid, seconds)."""
    pipe.send(asyncio.run(_send(port, domain, jobs, np.frombuffer(base, dtype=np.int8), pipe)))


async def _send(
    port: int, domain: Domain, jobs: list[Job], base: Any, pipe: Connection
) -> list[tuple[int, str, bytes, float]]:
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) for _ in jobs]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    with tempfile.TemporaryDirectory() as scratch:
        sealed = [list(_sealed(domain, job, base, Path(scratch))) for job in jobs]
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        pairs = zip(channels, jobs, sealed, strict=True)
        sent = await asyncio.gather(*(_trainer(channel, domain, job, files) for channel, job, files in pairs))
    for channel in channels:
        await channel.close(None)
    return [each for one in sent for each in one]


def _sealed(domain: Domain, job: Job, base: Any, directory: Path) -> Iterator[tuple[Path, updates_pb2.UpdateHeader]]:
    """A trainer's updates in files, with their headers."""
    account: LocalAccount = Account.from_key(job.key)
    all_salts = np.frombuffer(job.salts, dtype=np.int8).astype(np.int64).reshape(len(job.tasks), -1)
    for task_id, salts, raw in zip(job.tasks, all_salts, job.points, strict=True):
        plain = encode_update(Column(values=base.astype(np.int64), salts=salts), FMT)
        data = seal_update(plain, Receiver(job.receiver), update_context(domain, task_id, 0, account.address))
        path = directory / f"{task_id}-{account.address}"
        path.write_bytes(data)
        yield path, _header(account, domain, task_id, G1Point.from_bytes(raw), data)


async def _trainer(
    channel: grpc.aio.Channel, domain: Domain, job: Job, files: list[tuple[Path, updates_pb2.UpdateHeader]]
) -> list[tuple[int, str, bytes, float]]:
    account: LocalAccount = Account.from_key(job.key)
    stub: Any = updates_pb2_grpc.UpdatesServiceStub(channel)
    signer = CallSigner(account, domain)
    waiting: list[asyncio.Future[tuple[int, str, bytes, float]]] = []
    for task_id, (path, header) in zip(job.tasks, files, strict=True):
        data = path.read_bytes()
        started_at, call = time.monotonic(), stub.UploadUpdate()
        await call.write(
            updates_pb2.UploadUpdateRequest(header=signer.sign(UPLOAD_UPDATE, header, task_id=task_id, round=0))
        )
        for chunk in wire.chunks(data):
            await call.write(updates_pb2.UploadUpdateRequest(chunk=chunk))
        await call.done_writing()
        waiting.append(asyncio.ensure_future(_receipt(call, task_id, account.address, started_at)))
    return list(await asyncio.gather(*waiting))


async def _receipt(call: Any, task_id: int, trainer: str, started_at: float) -> tuple[int, str, bytes, float]:
    receipt = (await call).receipt
    return task_id, trainer, receipt.cid, time.monotonic() - started_at


def _header(
    account: LocalAccount, domain: Domain, task_id: int, point: G1Point, data: bytes
) -> updates_pb2.UpdateHeader:
    cid = cid_of(data)
    commitment = eip712.UpdateCommitment(
        task_id=task_id, round=0, point_x=point.x, point_y=point.y, cid_digest=eip712.cid_digest(cid)
    )
    return updates_pb2.UpdateHeader(
        task_id=task_id,
        round=0,
        cid=cid,
        size_bytes=len(data),
        dtype=updates_pb2.Dtype.DTYPE_INT8,
        point=wire.point_message(point),
        signature=eip712.sign_update(account, domain, commitment),
    )


# ------------------------------------------------------------------ watchers


def watch(port: int, task_id: int, count: int, pipe: Connection) -> None:
    """A process of watchers: reports once each has seen the round begin, and again how many saw more by the end."""
    asyncio.run(_watch(port, task_id, count, pipe))


async def _watch(port: int, task_id: int, count: int, pipe: Connection) -> None:
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) for _ in range(count)]
    request = rounds_pb2.WatchRoundsRequest(task_id=task_id)
    calls: list[Any] = [rounds_pb2_grpc.RoundsServiceStub(channel).WatchRounds(request) for channel in channels]
    for start in range(0, count, 100):  # connections are made at a rate, as they would be
        await asyncio.gather(*(call.read() for call in calls[start : start + 100]))
    pipe.send(count)
    responses = await asyncio.gather(*(call.read() for call in calls))
    pipe.send((time.time(), sum(r.report.step == rounds_pb2.ROUND_STEP_SEALED for r in responses)))
    for call in calls:
        call.cancel()


# ------------------------------------------------------------------- the scene


class Scene:
    """A market, tasks that trainers have joined, and an aggregator's process."""

    def __init__(self, rpc_url: str, keys: tuple[str, ...], directory: Path, dim: int, *, trainers: int) -> None:
        self.directory, self.dim, self.trainers = directory, dim, trainers
        self.chain = Chain(rpc_url)
        self.owner, self.operator = (Account.from_key(key) for key in keys[:2])
        self.deployment = deploy(self.chain, self.owner)
        self.market = Market(self.chain, self.deployment.market)
        self.statement = Statement(
            slots=SLOTS,
            dim=dim,
            fmt=FMT,
            logrows=smallest_logrows(dim),
            outlier="none",
            contribution="equal",
            rule_params={},
        )
        with Prover() as prover:
            self.srs = prover.ensure_test_srs(self.statement.logrows, provable=True)
            prover.ensure_test_srs(self.statement.rule_circuit.settings.logrows)
            self.terms = derive(self.statement, prover)
        create_key_file(directory / "operator.key", self.operator.key.hex())

    def create_tasks(self, count: int) -> list[int]:
        """Funded tasks, and their genesis model's bytes in `genesis_data`."""
        genesis = model.genesis(np.zeros(self.dim), FMT, SLOTS)
        self.genesis_data = encode_model(genesis)
        point, cid = commit(genesis, self.srs), cid_of(self.genesis_data)
        return [self.market.create_task(self.owner, self._config(point, cid)) for _ in range(count)]

    def join(self, pairs: list[tuple[LocalAccount, int]]) -> None:
        """Each account joins each of its tasks."""
        for account in {account.address: account for account, _ in pairs}.values():
            self.chain.w3.manager.request_blocking("anvil_setBalance", [account.address, hex(_GAS_WEI)])  # type: ignore[arg-type]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda pair: self.market.join(*pair), pairs))

    @contextlib.contextmanager
    def served(self) -> Iterator[tuple[psutil.Process, int]]:
        """The aggregator's process and port."""
        chain = {"rpc_url": self.chain.rpc_url, "market": self.market.address}
        port = _free_port()
        aggregator = {
            "key_file": str(self.directory / "operator.key"),
            "data_directory": str(self.directory / "data"),
            "port": port,
            "open_when_joined": min(TRAINERS_A_TASK, self.trainers),
            "poll_seconds": 2,
            "max_uploads": 4096,
            "max_calls": 10_000,
            "max_calls_per_address": 10_000,
            "calls_per_second": 10_000,
            "upload_bytes_per_second": 1 << 40,
            "log_level": "warning",
        }
        path = self.directory / "aggregator.json"
        path.write_text(json.dumps({"chain": chain, "aggregator": aggregator}))
        serve = [sys.executable, "-m", "aggregator", "--config", str(path)]
        process = subprocess.Popen([sys.executable, "-I", "-S", leash.__file__, *serve], stdin=subprocess.PIPE)  # noqa: S603
        try:
            while not _listens(port):
                if process.poll() is not None:
                    raise SystemExit("the aggregator did not start")
                time.sleep(0.1)
            [server] = psutil.Process(process.pid).children()
            yield server, port
        finally:
            process.communicate()  # closes the leash's input

    def _config(self, genesis: G1Point, genesis_cid: bytes) -> TaskConfig:
        statement, terms = self.statement, self.terms
        return TaskConfig(
            aggregator=self.operator.address,
            reward_per_round_wei=1000,
            bond_wei=1000,
            rounds=1,
            quorum=SLOTS,
            slots=SLOTS,
            bits=FMT.bits,
            dim=self.dim,
            k=statement.logrows,
            fractional_bits=FMT.fraction_bits,
            commit_window_seconds=360_000,
            settle_window_seconds=360_000,
            verifier=self.deployment.verifier,
            anchor=anchor_of(statement),
            update_key=terms.update_key.digest,
            rule_vka=terms.rule_keys.vka_digest,
            rule_params=statement.rule_param_words,
            genesis=genesis,
            empty_column=terms.empty_column,
            genesis_cid=genesis_cid,
            rule_name=statement.rule.name,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Sampler(threading.Thread):
    """Looks, 20 times a second, at the server's memory and at what it has on disk.

    Attributes:
        rss_bytes: the most that was seen, of the process and its children.
        disk: (time, bytes, CPU seconds of the process) of what was received.
    """

    def __init__(self, process: psutil.Process, directory: Path) -> None:
        super().__init__(daemon=True)
        self._process, self._directory = process, directory
        self._ended = threading.Event()
        self._held = _held_bytes(directory)
        self.rss_bytes = 0
        self.disk: list[tuple[float, int, float]] = []

    def run(self) -> None:
        while not self._ended.wait(0.05):
            self.rss_bytes = max(self.rss_bytes, _rss_bytes(self._process))
            held = _held_bytes(self._directory) - self._held
            self.disk.append((time.monotonic(), held, _cpu_seconds(self._process)))

    def end(self) -> None:
        self._ended.set()
        self.join()


def _rss_bytes(process: psutil.Process) -> int:
    total = 0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            memory = one.memory_info()
            total += memory.rss - memory.shared  # the string's mapped pages are not the updates'
    return total


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _held_bytes(directory: Path) -> int:
    total = 0
    for part in ("partials", "objects"):
        for root, _, names in os.walk(directory / part):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.stat(os.path.join(root, name)).st_size  # noqa: PTH116, PTH118 - a hot loop
    return total


# ---------------------------------------------------------------- measurement


def make_jobs(scene: Scene, trainers: list[LocalAccount], tasks_of: dict[str, list[int]], base: Any) -> list[Job]:
    """Updates that differ in their salts: their commitments are the base's plus the salts'."""
    salt_rows = len(draw_salts(FMT))
    values = base.astype(np.int64)
    nothing = np.zeros(salt_rows, dtype=np.int64)
    start = commit(Column(values=values, salts=nothing), scene.srs)
    zeros, jobs = np.zeros_like(values), []
    for account in trainers:
        tasks, salts, points = tasks_of[account.address], [], []
        for _ in tasks:
            drawn = draw_salts(FMT)
            salts.append(drawn.astype(np.int8).tobytes())
            own = commit(Column(values=zeros, salts=drawn, tail=0), scene.srs)
            points.append(sum_points([start, own]).to_bytes())
        jobs.append(
            Job(
                key=bytes(account.key),
                receiver=Receiver.of(scene.operator).public_key,
                salts=b"".join(salts),
                tasks=tuple(tasks),
                points=tuple(points),
            )
        )
    return jobs


def measure(scene: Scene, process: psutil.Process, port: int, jobs: list[Job], base: Any, waves: int) -> Line:
    before = _rss_bytes(process)
    context = multiprocessing.get_context("spawn")
    pipes, children = [], []
    for index in range(SENDERS):
        ours, theirs = context.Pipe()
        share = jobs[index::SENDERS]
        child = context.Process(
            target=send, args=(port, scene.market.domain, share, base.tobytes(), theirs), daemon=True
        )
        child.start()
        pipes.append(ours)
        children.append(child)
    for pipe in pipes:
        assert pipe.recv() == "ready"
    sampler = Sampler(process, scene.directory / "data")
    sampler.start()
    started_at, cpu_seconds = time.monotonic(), _cpu_seconds(process)
    for pipe in pipes:
        pipe.send("go")
    results = [each for pipe in pipes for each in pipe.recv()]
    ended_at = time.monotonic()
    sampler.end()
    for child in children:
        child.join()
    updates = sum(len(job.tasks) for job in jobs)
    size_bytes = sealed_update_size_bytes(scene.dim, FMT) * updates
    received_at, cpu = next((at, cpu) for at, held, cpu in sampler.disk if held >= size_bytes)
    seconds = sorted(each[3] for each in results)
    objects = scene.directory / "data" / "objects"
    lost = updates - sum((objects / to_text(cid)[-2:] / to_text(cid)).is_file() for _, _, cid, _ in results)
    return Line(
        trainers=len(jobs),
        waves=waves,
        dim=scene.dim,
        updates=updates,
        megabytes=round(size_bytes / 1e6, 1),
        received_seconds=round(received_at - started_at, 2),
        megabytes_a_second=round(size_bytes / 1e6 / (received_at - started_at), 1),
        acknowledged_seconds=round(ended_at - started_at, 2),
        updates_a_second=round(updates / (ended_at - started_at), 2),
        megabytes_a_cpu_second=round(size_bytes / 1e6 / max(cpu - cpu_seconds, 0.01), 1),
        receipt_p50_seconds=round(statistics.median(seconds), 2),
        receipt_p99_seconds=round(seconds[int(0.99 * (len(seconds) - 1))], 2),
        rss_before_mib=before >> 20,
        rss_ceiling_mib=sampler.rss_bytes >> 20,
        lost=lost,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest")
    parser.add_argument("--dim", type=int, default=1_200_000)
    parser.add_argument("--trainers", type=int, default=100)
    parser.add_argument("--waves", type=int, default=3)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="merit-ingest-"))
    try:
        with anvil_chain() as local:
            run(Scene(local.rpc_url, local.private_keys, directory, args.dim, trainers=args.trainers), args)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run(scene: Scene, args: argparse.Namespace) -> None:
    trainers = [Account.from_key(secrets.token_bytes(32)) for _ in range(args.trainers)]
    audience = [Account.from_key(secrets.token_bytes(32)) for _ in range(max(0, args.watchers - args.trainers))]
    groups = [trainers[i : i + TRAINERS_A_TASK] for i in range(0, len(trainers), TRAINERS_A_TASK)]
    plans = [args.waves, 2 * args.waves]
    base = np.random.default_rng(1).integers(-128, 128, scene.dim).astype(np.int8)
    tasks = scene.create_tasks(len(groups) * sum(plans))
    tasks_of: list[dict[str, list[int]]] = []
    at, pairs = 0, []
    for waves in plans:
        mine: dict[str, list[int]] = {}
        for group in groups:
            share = tasks[at : at + waves]
            at += waves
            mine |= {account.address: share for account in group}
            pairs += [(account, task_id) for account in group for task_id in share]
        tasks_of.append(mine)
    pairs += [(account, tasks[0]) for account in audience]
    scene.join(pairs)
    with scene.served() as (process, port):
        asyncio.run(_opened(scene, port, tasks))
        watching = _watching(port, tasks[0], args.watchers) if args.watchers else None
        for waves, mine in zip(plans, tasks_of, strict=True):
            line = measure(scene, process, port, make_jobs(scene, trainers, mine, base), base, waves)
            print(json.dumps(asdict(line)) if args.json else _shown(line), flush=True)
        missing = SLOTS - min(TRAINERS_A_TASK, args.trainers)
        if watching is not None and len(audience) >= missing:
            _seal(scene, port, tasks[0], audience[:missing], base, *watching)


async def _opened(scene: Scene, port: int, tasks: list[int]) -> None:
    """Every task's first round collects."""
    owner = CallSigner(scene.owner, scene.market.domain)
    async with AggregatorClient(f"127.0.0.1:{port}", patience_seconds=600) as client:
        for task_id in tasks:
            await client.upload_genesis(task_id, scene.genesis_data, owner)
        for task_id in tasks:
            async for report in client.watch(task_id):
                if report.report.step == rounds_pb2.ROUND_STEP_COLLECTING:
                    break


def _watching(port: int, task_id: int, count: int) -> tuple[Connection, Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=watch, args=(port, task_id, count, theirs), daemon=True)
    child.start()
    print(f"{ours.recv()} trainers wait in watch, a connection each", flush=True)
    return ours, child


def _seal(
    scene: Scene, port: int, task_id: int, late: list[LocalAccount], base: Any, pipe: Connection, child: Any
) -> None:
    """The round's last updates: its seal is what every watcher waits for."""
    jobs = make_jobs(scene, late, {account.address: [task_id] for account in late}, base)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    ready = threading.Thread(target=send, args=(port, scene.market.domain, jobs, base.tobytes(), theirs))
    ready.start()
    ours.recv()
    ours.send("go")
    ours.recv()
    acknowledged_at = time.time()
    seen_at, count = pipe.recv()
    child.join()
    print(f"{count} of them saw the seal, the last one {seen_at - acknowledged_at:.2f} s after the last receipt")


def _shown(line: Line) -> str:
    return (
        f"{line.trainers} trainers, {line.updates} updates of dim {line.dim:,} ({line.megabytes} MB): "
        f"{line.megabytes_a_second} MB/s received in {line.received_seconds} s "
        f"({line.megabytes_a_cpu_second} MB a CPU second), "
        f"{line.updates_a_second} updates/s acknowledged in {line.acknowledged_seconds} s, "
        f"receipt p50 {line.receipt_p50_seconds} s, p99 {line.receipt_p99_seconds} s, "
        f"memory {line.rss_before_mib} -> at most {line.rss_ceiling_mib} MiB, {line.lost} lost"
    )


if __name__ == "__main__":
    main()
