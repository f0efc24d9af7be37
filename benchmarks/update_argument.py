"""The update argument by itself: what it takes of time and memory, next to what could be done instead.

Measured in a process of its own, so that its peak memory is its own (the mapped string counts). Updates are random and
fill every slot.
"""

import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.records import Clock, Record
from circuits.bn254 import G1Point
from circuits.commitment import Column, commit, draw_salts, smallest_logrows
from circuits.fixedpoint import FixedPoint
from circuits.linear import update_argument
from circuits.linear.gram import gram, upper_triangle
from circuits.prover import Prover
from circuits.srs import Srs, file_name, generate
from circuits.worker import Worker

CONTEXT = bytes(31) + b"\1"
TIMEOUT_SECONDS = 6 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is proven about: `slots` updates of `dim` entries of `bits` bits."""

    dim: int
    slots: int
    bits: int

    @property
    def logrows(self) -> int:
        """log2 of the smallest domain."""
        return smallest_logrows(self.dim)


def measure(size: Size, *, runs: int) -> Record:
    """Medians of `runs` proofs, each of updates of its own, under a string made for them.

    `seconds` holds, of all slots together: read (one pass over the updates), commit, prove, verify; and string and
    key, once. `prove_cpu` is of all cores. `stages` are the prover's own.
    """
    clock, worker = Clock(), Worker()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / file_name(size.logrows)
        clock.timed("string", lambda: generate(path, size.logrows))
        try:
            found = worker.call(_measured, path, size, runs, timeout_seconds=TIMEOUT_SECONDS)
        finally:
            worker.close()
    found["seconds"] |= clock.spreads()
    return found


def random_columns(size: Size) -> list[Column]:
    """Updates whose entries are uniform over the range."""
    fmt, rng = FixedPoint(bits=size.bits, fraction_bits=0), np.random.default_rng()
    return [
        Column(values=rng.integers(fmt.lowest, fmt.highest + 1, size.dim), salts=draw_salts(fmt))
        for _ in range(size.slots)
    ]


class Stages:
    """A progress callback that takes the time of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def __call__(self, stage: str, done: int, _total: int) -> bool:
        now = time.perf_counter()
        if done:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now
        return True


def _measured(path: Path, size: Size, runs: int) -> Record:
    """Runs in a process of its own."""
    srs, clock, stages = Srs(path), Clock(), Clock()
    key = clock.timed("key", lambda: update_argument.make_key(srs, dim=size.dim, bits=size.bits))
    proof_bytes = 0
    for _ in range(runs):
        columns = random_columns(size)
        narrow = [column.values.astype(np.int8 if size.bits <= 8 else np.int16) for column in columns]
        clock.timed("read", partial(list, map(np.max, narrow)))
        points = clock.timed("commit", partial(_commit_all, columns, srs))
        proof_bytes = _prove(srs, key, columns, points, clock, stages)
    return {
        "dim": size.dim,
        "logrows": size.logrows,
        "seconds": clock.spreads(),
        "stages": stages.spreads(),
        "proof_bytes": proof_bytes,
        "peak_mib": peak_mib(),
    }


def _commit_all(columns: list[Column], srs: Srs) -> list[G1Point]:
    return [commit(column, srs) for column in columns]


def _prove(
    srs: Srs, key: update_argument.UpdateKey, columns: list[Column], points: list[G1Point], clock: Clock, stages: Clock
) -> int:
    watch, used = Stages(), time.process_time()
    proof = clock.timed(
        "prove",
        lambda: update_argument.prove(srs, key, context=CONTEXT, columns=columns, points=points, progress=watch),
    )
    clock.add("prove_cpu", time.process_time() - used)
    for stage, seconds in watch.seconds.items():
        stages.add(stage, seconds)
    clock.timed("verify", lambda: update_argument.verify(key, context=CONTEXT, points=points, proof=proof))
    assert list(proof.instances) == upper_triangle(gram(columns))
    return len(proof.data)


def peak_mib() -> int:
    """This process's largest resident size. Not by getrusage, which counts the parent's before the exec as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def measure_ezkl(prover: Prover, *, slots: int, bits: int, logrows: int, runs: int) -> Record:
    """The linear layer as an ezkl circuit, of the largest model that 2^logrows rows hold."""
    from benchmarks.ezkl_linear import GramCircuit, largest_dim, rows_of  # noqa: PLC0415  (loads torch)

    size = Size(dim=largest_dim(slots=slots, logrows=logrows), slots=slots, bits=bits)
    circuit = GramCircuit(slots=slots, dim=size.dim, fmt=FixedPoint(bits=bits, fraction_bits=0), logrows=logrows)
    clock, proof_bytes = Clock(), 0
    prover.ensure_test_srs(logrows)
    keys = clock.timed("setup", lambda: prover.keys(circuit))
    for _ in range(runs):
        columns = random_columns(size)
        rows = [rows_of(column) for column in columns]
        proof = clock.timed("prove", partial(prover.prove, circuit, rows))
        assert list(proof.instances[:-1]) == upper_triangle(gram(columns))
        proof_bytes = len(proof.data)
    return {
        "dim": size.dim,
        "seconds": clock.spreads(),
        "proof_bytes": proof_bytes,
        "key_bytes": (keys.directory / "pk").stat().st_size,
    }
