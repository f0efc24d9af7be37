"""Where the time of a round goes: stages of the Rust prover, and Python functions around it and the rule's prover."""

import cProfile
import pstats
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.records import Record
from benchmarks.update_argument import CONTEXT, TIMEOUT_SECONDS, Stages
from circuits.commitment import Column, draw_for_round
from circuits.fixedpoint import quantize
from circuits.linear import update_argument
from circuits.linear.gram import full_matrix, gram, upper_triangle
from circuits.prover import Prover
from circuits.srs import Srs
from circuits.statement import Statement
from circuits.worker import Here, Worker
from store.objects import decode_update, encode_update


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One function, or one stage of the Rust prover: its own seconds, and their share of the round."""

    where: str
    seconds: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Attributes:
    seconds: of the round. python: by function, native calls among them. native: by stage of the update argument.
    """

    seconds: float
    python: list[Cost]
    native: list[Cost]


def as_record(found: Profile) -> Record:
    """As JSON."""
    return asdict(found)


def profile(prover: Prover, statement: Statement, *, top: int = 12) -> Profile:
    """A round's work, without network and chain, in one process whose keys and string are warm."""
    circuit = statement.rule_circuit
    prover.ensure_test_srs(circuit.settings.logrows)
    srs = prover.ensure_test_srs(statement.logrows, provable=True)
    prover.keys(circuit)
    worker = Worker()
    try:
        return worker.call(_profiled, statement, srs.path, top, timeout_seconds=TIMEOUT_SECONDS)
    finally:
        worker.close()


def _profiled(statement: Statement, path: Path, top: int) -> Profile:
    srs, prover = Srs(path), Prover(worker=Here())
    key = statement.update_key(srs)
    _round(statement, srs, key, prover, Stages())  # warms up
    stages, profiler = Stages(), cProfile.Profile()
    started_at = time.perf_counter()
    profiler.enable()
    _round(statement, srs, key, prover, stages)
    profiler.disable()
    seconds = time.perf_counter() - started_at
    entries = pstats.Stats(profiler).get_stats_profile().func_profiles
    own = sorted(((entry.tottime, name) for name, entry in entries.items()), reverse=True)[:top]
    native = sorted(((spent, stage) for stage, spent in stages.seconds.items()), reverse=True)
    return Profile(
        seconds=round(seconds, 3), python=[_cost(*line, seconds) for line in own],
        native=[_cost(*line, seconds) for line in native],
    )  # fmt: skip


def _cost(spent: float, where: str, total: float) -> Cost:
    return Cost(where=where, seconds=round(spent, 4), share=round(spent / total, 4))


def _round(statement: Statement, srs: Srs, key: update_argument.UpdateKey, prover: Prover, stages: Stages) -> None:
    """What trainers and the aggregator compute: quantise, commit, encode, decode, argue, prove the rule."""
    fmt, rng = statement.fmt, np.random.default_rng()
    columns: list[Column] = []
    points = []
    for _ in range(statement.slots):
        quantized = quantize(rng.normal(0, 0.3, statement.dim), fmt)
        column, point = draw_for_round(quantized.values, fmt, srs, round=0, rounds=3)
        columns.append(decode_update(encode_update(column, fmt), statement.dim, fmt))
        points.append(point)
    triangle = upper_triangle(gram(columns))
    proof = update_argument.prove(srs, key, context=CONTEXT, columns=columns, points=points, progress=stages)
    assert list(proof.instances) == triangle
    active = statement.active_bits(statement.slots)
    inputs = statement.rule_circuit.inputs(triangle, active, statement.rule_param_list)
    accept, score = statement.rule.reference(full_matrix(triangle, statement.slots), active, **statement.rule_params)
    proven = prover.prove(statement.rule_circuit, inputs)
    assert list(proven.instances[-2 * statement.slots :]) == [*accept, *score]
