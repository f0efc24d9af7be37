"""What a rule's circuit costs once, for its keys, and each round, for its proof. Models do not matter to it."""

import json
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.records import Clock, Record
from circuits.commitment import Column, draw_salts
from circuits.fixedpoint import FixedPoint
from circuits.linear.gram import gram, upper_triangle
from circuits.prover import Prover
from circuits.rules import RuleCircuit

_DIM = 650


def measure(circuit: RuleCircuit, *, runs: int) -> Record:
    """Keys made anew in a directory of their own, then proofs with a warm worker."""
    clock, fmt = Clock(), FixedPoint(bits=8, fraction_bits=7)
    slots, outlier = circuit.slots, circuit.rule.outlier
    with tempfile.TemporaryDirectory() as scratch, Prover(keys_directory=Path(scratch)) as prover:
        prover.ensure_test_srs(circuit.settings.logrows)
        prover.worker_peak_bytes()  # starts the worker, which is no part of the set-up
        keys = clock.timed("setup", lambda: prover.keys(circuit))
        rows = np.random.default_rng().integers(fmt.lowest, fmt.highest + 1, (slots, _DIM))
        columns = [Column(values=row, salts=draw_salts(fmt)) for row in rows]
        params = [max(0, (slots - 3) // 2)] if outlier.name == "multi_krum" else [p.low for p in outlier.parameters]
        inputs = circuit.inputs(upper_triangle(gram(columns)), [1] * slots, params)
        proof = prover.prove(circuit, inputs)
        for _ in range(runs):
            proof = clock.timed("prove", lambda: prover.prove(circuit, inputs))
            clock.timed("verify", partial(prover.verify, circuit, proof))
        settings = json.loads((keys.directory / "settings.json").read_text())
        return {
            "logrows": circuit.settings.logrows,
            "rows": settings["num_rows"],
            "seconds": clock.spreads(),
            "key_bytes": {
                "rule_proving_key": (keys.directory / "pk").stat().st_size,
                "rule_vka": 32 * len(keys.vka_words),
            },
            "proof_bytes": len(proof.data),
            "peak_mib": prover.worker_peak_bytes() >> 20,
        }
