"""`kill -9` wherever something can be half done: after each write, proof and transaction, while the latter still waits.

A first process is recorded: the boundaries that it goes through are where later ones kill themselves, each once. The
chain stands still from then until the next process serves, so that what was sent is still under way when it starts.
"""

import asyncio
import multiprocessing
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

import pytest
from merit.v1.types_pb2 import Receipt

from aggregator.records import FINAL_STEPS, Step
from circuits.bn254 import G1Point
from circuits.commitment import check_opening
from circuits.prover import Prover
from clients.errors import AggregatorUnreachable
from clients.follow import follow
from clients.service import AggregatorClient
from contracts.bindings import shared_in, shared_with
from contracts.bindings.devchain import anvil_chain
from process.logs import get
from protocol.last_model import open_sealed
from protocol.refusals import Refusal
from store.cid import cid_of
from store.objects import decode_model
from tests.aggregator.killed import Point, points, run
from tests.stage import STATEMENT, TRAINERS, Stage

T = TypeVar("T")

STEPS = [Step.COLLECTING, Step.SEALED, Step.COMMITTED, Step.LINEAR_PROVEN, Step.RULE_PROVEN, Step.SETTLED]
EVENTS = ["BondPosted", "RoundCommitted", "RoundSettled", "ModelPublished", "TaskClosed"]
TRANSACTIONS = 4  # bond, commit, settlement, model

# A proof is made again only where the first one had not been stored yet. By what each proof passes first.
LOST_PROOFS = {
    "state.count_argument": [("state.count_argument", 1), ("proof.linear", 1), ("store.proof", 1)],
    "proof.rule": [("proof.rule", 1), ("store.proof", 2)],
}
# The chain grows at its own pace, so how often this one is passed differs from run to run.
UNSTEADY = "state.put_checkpoint"
EACH_UPLOAD = ("state.admit", "state.spend_nonce", "store.update")
# So that one test ends in time on a busy machine.
SHARES = 4

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.aggregator.killed"])


@pytest.fixture
def stage(prover: Prover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("protocol.terms.check_verifier", lambda chain, verifier: None)
    with anvil_chain() as local:
        yield Stage(local, prover, tmp_path)


@dataclass
class Play:
    """One round, with an aggregator that is killed at a point, or not at all."""

    stage: Stage
    directory: Path
    point: Point | None
    terms: dict[str, object] = field(default_factory=dict)
    task_id: int = 0
    receipts: dict[str, Receipt] = field(default_factory=dict)
    journal: list[tuple[int, Step]] = field(default_factory=list)
    cursors: list[int] = field(default_factory=list)
    killed: bool = False
    model: bytes = b""

    @property
    def marks(self) -> Path:
        return self.directory / "marks"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    async def run(self) -> None:
        self.directory.mkdir()
        self.task_id = await self.stage.create_task(rounds=1, **self.terms)  # type: ignore[arg-type]
        port = _free_port()
        async with _standing_chain(self.stage) as moving, AggregatorClient(f"127.0.0.1:{port}") as client:
            keeping = asyncio.create_task(self._keep_alive(port, moving))
            playing = asyncio.create_task(self._play(client))
            try:
                async with asyncio.timeout(240):
                    done, _ = await asyncio.wait({keeping, playing}, return_when=asyncio.FIRST_COMPLETED)
                    for one in done:
                        await one
            finally:
                for one in (playing, keeping):
                    one.cancel()
                    with suppress(asyncio.CancelledError):
                        await one

    async def _keep_alive(self, port: int, moving: asyncio.Event) -> None:
        """Starts the aggregator; and again, where it kills itself."""
        process = self._start(port, self.point)
        try:
            await asyncio.to_thread(process.join)
            assert self.point is not None, self.log.read_text()
            assert process.exitcode == -signal.SIGKILL, self.log.read_text()
            moving.clear()
            self.killed = True
            process = self._start(port, None)
            await _until_open(port)
            moving.set()
            await asyncio.to_thread(process.join)
            raise AssertionError(self.log.read_text())
        finally:
            process.kill()
            await asyncio.to_thread(process.join)

    def _start(self, port: int, point: Point | None) -> BaseProcess:
        config = self.stage.config(port=port, data_directory=self.directory / "data")
        files = (self.stage.directory / "keys", self.marks, self.log)
        process = _FORKS.Process(target=run, args=(config, *files, point), daemon=True)
        process.start()
        return process

    async def _play(self, client: AggregatorClient) -> None:
        stage = self.stage
        await _until_taken(lambda: client.upload_genesis(self.task_id, stage.genesis_data, stage.owner_signer))
        for index, trainer in enumerate(stage.trainers[:TRAINERS]):
            update = stage.update(self.task_id, 0, trainer, stage.draw(index, outlier=index == TRAINERS - 1))
            receipt = await _until_taken(lambda: client.upload_update(update.header, update.data, update.signer))  # noqa: B023
            self.receipts[trainer.address] = receipt
        async for report in follow(client, self.task_id, get()):
            self.journal.append((report.round, Step(report.report.step)))
            self.cursors.append(report.cursor)
        self.model = await client.download_model(self.task_id, 1, limit_bytes=1 << 20)
        slots = (await client.round(self.task_id, 0)).slots
        assert {slot.trainer: slot.cid for slot in slots} == {
            bytes.fromhex(address[2:]): receipt.cid for address, receipt in self.receipts.items()
        }


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
async def test_a_kill_anywhere_loses_and_repeats_nothing(share: int, stage: Stage) -> None:
    recorded = Play(stage, stage.directory / "recorded", None)
    await recorded.run()
    check(recorded)
    found = points(recorded.marks)
    assert {boundary for boundary, _ in found} > {"chain.sent", "chain.mined", "proof.linear", "proof.rule"}
    for number, point in enumerate(_chosen(found)[share::SHARES]):
        play = Play(stage, stage.directory / f"{number}", point)
        await play.run()
        assert play.killed, point
        check(play)


@pytest.mark.slow
async def test_a_kill_around_a_handover_loses_and_repeats_nothing(stage: Stage) -> None:
    """A sealed last model: the object is there before its key, and the key comes once, with the settlement."""
    terms = {"rule_name": STATEMENT.rule.name + "+sealed"}
    recorded = Play(stage, stage.directory / "recorded", None, terms)
    await recorded.run()
    check_handover(recorded)
    found = points(recorded.marks)
    handing = [point for point in found[found.index(Point("state.judge", 1)) :] if point.boundary != UNSTEADY]
    passed = [point.boundary for point in handing]
    order = ["store.model", "state.put_model", "chain.sent", "chain.mined", "state.settle"]
    assert [passed.index(boundary) for boundary in order] == sorted(passed.index(boundary) for boundary in order)
    for number, point in enumerate(handing[:-1]):  # after the last one there is nothing to go on with
        play = Play(stage, stage.directory / f"{number}", point, terms)
        await play.run()
        assert play.killed, point
        check_handover(play)


def check_handover(play: Play) -> None:
    stage = play.stage
    view = stage.market.task(play.task_id)
    [share] = shared_with(stage.chain, stage.owner.address, from_block=view.created_at_block)
    [settled] = [e for e in stage.market.events(play.task_id) if e.name == "RoundSettled"]
    receipt = stage.chain.receipt(bytes.fromhex(settled.tx_hash[2:]))
    assert receipt is not None
    assert shared_in(receipt, stage.owner.address) == [share], play.point
    assert share.cid == cid_of(play.model) == stage.market.round(play.task_id, 0).model_cid
    play.model, _ = open_sealed(play.model, stage.market, view, stage.owner)
    check(play)


def _chosen(found: list[Point]) -> list[Point]:
    """All of them, but of those that each upload passes the first, and one late one.

    That is one that every run comes to: a call that is made again passes them once more.
    """
    count = Counter(boundary for boundary, _ in found)
    return [
        point
        for point in found
        if point.occurrence == 1 or point.boundary not in (*EACH_UPLOAD, UNSTEADY) or _is_last(point, count)
    ]


def _is_last(point: Point, count: Counter[str]) -> bool:
    return point.boundary != UNSTEADY and point.occurrence == min(TRAINERS, count[point.boundary])


def check(play: Play) -> None:
    stage, point = play.stage, play.point
    assert play.journal == [(0, step) for step in (*STEPS, Step.PUBLISHED)], point
    assert play.journal[-1][1] in FINAL_STEPS
    assert play.cursors == sorted(set(play.cursors)), point
    assert len(play.receipts) == TRAINERS, point
    seen = Counter(event.name for event in stage.market.events(play.task_id))
    assert [seen[name] for name in EVENTS] == [1] * len(EVENTS), point
    assert sent_since_task(stage, play.task_id) == TRANSACTIONS, point
    made = Counter(play.marks.read_text().split())
    for proof, lost in LOST_PROOFS.items():
        assert made[proof] == (2 if point in lost else 1), point
    check_opening(
        decode_model(play.model, STATEMENT.dim), G1Point(*stage.market.model_commitment(play.task_id)), stage.srs
    )


def sent_since_task(stage: Stage, task_id: int) -> int:
    """How many transactions of the operator are in blocks since a task was made, failed ones as well."""
    eth, first = stage.chain.w3.eth, stage.market.task(task_id).created_at_block
    return eth.get_transaction_count(stage.operator.address) - eth.get_transaction_count(stage.operator.address, first)


@asynccontextmanager
async def _standing_chain(stage: Stage) -> AsyncIterator[asyncio.Event]:
    """Blocks come while the event is set, and not with each transaction."""
    moving = asyncio.Event()
    moving.set()

    async def mine() -> None:
        while True:
            await moving.wait()
            await asyncio.to_thread(stage.chain.w3.provider.make_request, "evm_mine", [])  # type: ignore[arg-type]
            await asyncio.sleep(0.05)

    stage.chain.w3.provider.make_request("evm_setAutomine", [False])  # type: ignore[arg-type]
    mining = asyncio.create_task(mine())
    try:
        yield moving
    finally:
        mining.cancel()
        with suppress(asyncio.CancelledError):
            await mining
        stage.chain.w3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]
        stage.chain.w3.provider.make_request("evm_setAutomine", [True])  # type: ignore[arg-type]


async def _until_taken(call: Callable[[], Awaitable[T]]) -> T:
    """Whatever is in the way passes: a task or a round that is not there yet, an aggregator that is down."""
    while True:
        try:
            return await call()
        except (AggregatorUnreachable, Refusal):
            await asyncio.sleep(0.05)


async def _until_open(port: int) -> None:
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
