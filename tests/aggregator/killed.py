"""An aggregator in a process of its own that kills itself where it is told to. Rules are proven as on the stage."""

import asyncio
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import protocol.terms
from aggregator.config import AggregatorConfig
from aggregator.service import Aggregator
from circuits.prover import Prover
from process import logs
from tests.stage import ReferenceProver, StagePool

_BUDGET_BYTES = 1 << 40


class Point(NamedTuple):
    """The n-th time, from 1 on, that a boundary is reached in a process."""

    boundary: str
    occurrence: int


class Boundaries:
    """Writes down each boundary before anything else, and ends the process at one."""

    def __init__(self, marks: Path, point: Point | None) -> None:
        self._file = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._point, self._seen, self._lock = point, Counter[str](), threading.Lock()

    def __call__(self, boundary: str) -> None:
        with self._lock:
            os.write(self._file, f"{boundary}\n".encode())
            self._seen[boundary] += 1
            if (boundary, self._seen[boundary]) == self._point:
                os.kill(os.getpid(), signal.SIGKILL)


def run(config: AggregatorConfig, keys: Path, marks: Path, log: Path, point: Point | None) -> None:
    """What the process does: it serves until SIGTERM."""
    sys.stdout = log.open("a")
    logs.configure("info")
    protocol.terms.check_verifier = lambda chain, verifier: None  # type: ignore[attr-defined]
    with Prover() as shared:
        prover = ReferenceProver(shared, keys)
        pool = StagePool(prover, config.objects, _BUDGET_BYTES)
        asyncio.run(_serve(Aggregator(config, prover=prover, pool=pool, boundary=Boundaries(marks, point))))
    sys.stdout.flush()


async def _serve(aggregator: Aggregator) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, aggregator.stop)
    try:
        await aggregator.run()
    finally:
        aggregator.close()


def points(marks: Path) -> list[Point]:
    """Every point that a process went through, in order."""
    seen = Counter[str]()
    found = []
    for boundary in marks.read_text().split():
        seen[boundary] += 1
        found.append(Point(boundary, seen[boundary]))
    return found
