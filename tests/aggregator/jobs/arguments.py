"""Update arguments to be made: random columns in a content store, and the jobs that are about them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from aggregator.jobs import ColumnAt, LinearJob, RuleJob
from circuits.commitment import Column, commit, draw_salts
from circuits.fixedpoint import FixedPoint
from circuits.linear import update_argument
from circuits.linear.gram import gram, upper_triangle
from circuits.linear.update_argument import UpdateKey
from circuits.proof import Proof
from circuits.prover import Prover
from circuits.srs import Srs
from circuits.statement import DEMO_STATEMENT
from store.local import ContentStore
from store.objects import encode_model, encode_update

FMT = FixedPoint(bits=8, fraction_bits=7)
RULE = DEMO_STATEMENT


class Arguments:
    """A store, and jobs about what is in it.

    Attributes:
        expected: by round, the Gram triangle that a job's proof must state.
    """

    def __init__(self, directory: Path, srs: Srs) -> None:
        self.store = ContentStore(directory)
        self.srs = srs
        self.expected: dict[int, tuple[int, ...]] = {}

    def draw(self, round: int, *, columns: int = 4, dim: int = 400, form: str = "update") -> LinearJob:
        """A job about random columns; with form "model" they are stored as sums are."""
        rng = np.random.default_rng(round)
        drawn = [
            Column(values=rng.integers(-128, 128, dim, dtype=np.int64), salts=draw_salts(FMT)) for _ in range(columns)
        ]
        encode: Callable[[Column], bytes] = encode_model if form == "model" else lambda c: encode_update(c, FMT)
        self.expected[round] = tuple(upper_triangle(gram(drawn)))
        return LinearJob(
            task_id=7,
            round=round,
            logrows=self.srs.k,
            dim=dim,
            fmt=FMT,
            key=update_argument.make_key(self.srs, dim=dim, bits=FMT.bits).data,
            context=round.to_bytes(32, "big"),
            columns=tuple(ColumnAt(cid=self.store.put(encode(column)), form=form) for column in drawn),  # type: ignore[arg-type]
            points=tuple(commit(column, self.srs) for column in drawn),
        )

    def check(self, job: LinearJob, proof: Proof) -> None:
        """The proof verifies, and states the reference's integers."""
        update_argument.verify(UpdateKey(data=job.key), context=job.context, points=job.points, proof=proof)
        assert proof.instances == self.expected[job.round]


def rule_job(prover: Prover, seed: int, **changes: object) -> RuleJob:
    """The demo's rule about random updates."""
    rows = np.random.default_rng(seed).integers(-128, 128, (RULE.slots, RULE.dim))
    inputs = RULE.rule_circuit.inputs(upper_triangle((rows @ rows.T).tolist()), [1] * RULE.slots, [2])
    named = {"task_id": 7, "round": seed, "vka_digest": prover.keys(RULE.rule_circuit).vka_digest}
    return RuleJob.of(RULE, inputs, **(named | changes))  # type: ignore[arg-type]
