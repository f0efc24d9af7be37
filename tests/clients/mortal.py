"""A trainer in a process of its own, which kills itself just before one of its effects:

python -m tests.clients.mortal < plan.json
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from merit.v1.types_pb2 import Chunk, Receipt
from merit.v1.updates_pb2 import UpdateHeader, UploadUpdateRequest

from circuits.prover import Prover
from clients.parameters import Vector
from clients.service import AggregatorClient
from clients.trainer import AsyncTrainer
from contracts.bindings import Chain, Market
from process.keyfile import load_account
from protocol import terms, wire
from protocol.calls import CallSigner
from tests.stage import STATEMENT, ReferenceProver

PART_BYTES = 400
EFFECTS = (
    "train",
    "fsync update",
    "replace update",
    "fsync directory after update",
    "send header",
    "send bytes",
    "use receipt",
    "fsync receipt",
    "replace receipt",
    "fsync directory after receipt",
)
"""Everything that a trainer does in a round for others, or itself after a restart, to see; in order."""


class Fate:
    """Ends the process before effect `last_effect` of round `last_round`.

    Attributes:
        file: what the last effect on the disk was about.
    """

    def __init__(self, last_round: int, last_effect: str, directory: Path) -> None:
        self._last = (last_round, last_effect)
        self.directory = str(directory)
        self.file = ""

    def before(self, round: int, effect: str) -> None:
        assert effect in EFFECTS
        if (round, effect) == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def small_chunks(data: bytes, start_bytes: int = 0) -> Iterator[Chunk]:
    """A small update goes in parts, too."""
    for start in range(start_bytes, len(data), PART_BYTES):
        yield Chunk(offset_bytes=start, data=data[start : start + PART_BYTES])


def watch_disk(fate: Fate) -> None:
    """Sees the effects on the trainer's directory."""
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        if path == fate.directory:
            number, _, kind = fate.file.partition(".")
            fate.before(int(number), f"fsync directory after {kind}")
        elif path.startswith(fate.directory):
            number, kind, _ = Path(path).name.split(".")
            fate.before(int(number), f"fsync {kind}")
        fsync(handle)

    def watched_replace(self: Path, target: Path) -> Path:
        if str(self.parent) == fate.directory:
            number, kind, _ = self.name.split(".")
            fate.before(int(number), f"replace {kind}")
            fate.file = f"{number}.{kind}"
        return replace(self, target)

    os.fsync = watched_fsync  # type: ignore[assignment]
    Path.replace = watched_replace  # type: ignore[method-assign, assignment]


class MortalClient(AggregatorClient):
    """Sees the effects on the aggregator."""

    def __init__(self, target: str, fate: Fate) -> None:
        super().__init__(target)
        self._fate = fate
        send = self._updates.UploadUpdate

        def watched(messages: Iterator[UploadUpdateRequest]) -> Any:
            def watch() -> Iterator[UploadUpdateRequest]:
                for message in messages:
                    if message.WhichOneof("part") == "header":
                        round = UpdateHeader.FromString(message.header.body).round
                        fate.before(round, "send header")
                    elif message.chunk.offset_bytes:
                        fate.before(round, "send bytes")
                    yield message

            return send(watch())

        self._updates.UploadUpdate = watched  # type: ignore[method-assign, assignment]

    async def upload_update(self, header: UpdateHeader, data: bytes, signer: CallSigner) -> Receipt:
        receipt = await super().upload_update(header, data, signer)
        self._fate.before(header.round, "use receipt")
        return receipt


async def main() -> None:
    plan = json.load(sys.stdin)
    directory = Path(plan["directory"])
    fate = Fate(plan["last_round"], plan["last_effect"], directory)
    terms.check_verifier = lambda chain, verifier: None  # type: ignore[assignment]  # as on the stage
    watch_disk(fate)
    wire.chunks = small_chunks

    def train(parameters: Vector, round: int, learning_rate: float | None) -> Vector:
        """Never twice the same, so that training again would be seen."""
        fate.before(round, "train")
        change = np.linspace(0.3, 0.6, STATEMENT.dim) + np.random.default_rng().normal(scale=0.05, size=STATEMENT.dim)
        with Path(plan["diary"]).open("a") as diary:
            diary.write(json.dumps({"round": round, "change": change.tolist()}) + "\n")
        return parameters + change

    with Prover() as shared:
        prover = ReferenceProver(shared, Path(plan["keys"]))
        async with MortalClient(plan["target"], fate) as client:
            trainer = AsyncTrainer(
                market=Market(Chain(plan["rpc_url"]), plan["market"]),
                task_id=plan["task"],
                aggregator=client,
                account=load_account(),
                prover=prover,
                directory=directory,
                poll_seconds=0.2,
            )
            await trainer.run(train)


if __name__ == "__main__":
    asyncio.run(main())
