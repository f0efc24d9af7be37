"""A round's two proofs: made once, compared with the integer reference, kept in the content store."""

import threading
import time
from dataclasses import dataclass

from aggregator.anchors import columns_of
from aggregator.errors import Disagreement, StateLost
from aggregator.records import Layer, Update
from aggregator.tools import Tools, off_loop
from circuits.commitment import Column
from circuits.linear import update_argument
from circuits.linear.gram import gram, padded, upper_triangle
from circuits.proof import Proof
from contracts.bindings import proof_context
from protocol.terms import Derived

_TELL_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Attributes:
    accept, score: one a slot, as proven.
    """

    proof: Proof
    accept: list[int]
    score: list[int]


class Proofs:
    """Of one task. A proof that is already stored is not made again."""

    def __init__(self, task_id: int, terms: Derived, tools: Tools) -> None:
        self._task_id = task_id
        self._terms = terms
        self._tools = tools

    async def linear(self, round: int, updates: list[Update]) -> Proof:
        """The update argument: from the updates' commitments to their Gram matrix.

        Raises:
            Disagreement: the proof gives another matrix than the reference.
            TooManyProofs: a commitment has had all the proofs that it may have.
        """
        columns = await off_loop(columns_of, updates, self._terms.statement, self._tools.store)
        triangle = upper_triangle(await off_loop(gram, columns))
        proof = await off_loop(self._stored, round, Layer.LINEAR)
        if proof is None:
            proof = await self._argue(round, updates, columns)
        _require_equal("Gram matrix of the update argument", tuple(triangle), proof.instances)
        await off_loop(self._keep, round, Layer.LINEAR, proof)
        return proof

    async def _argue(self, round: int, updates: list[Update], columns: list[Column]) -> Proof:
        """Makes an update argument; one that nobody waits for any more ends at its next step."""
        points, watch = [update.point for update in updates], _Watch(self._tools, self._task_id, round)
        # Each proof opens a little more of what it is about, but everybody knows the empty column.
        hiding = [point for point in points if point != self._terms.empty_column]
        await off_loop(self._tools.state.require_provable, hiding)
        try:
            proof = await self._tools.with_prover(
                update_argument.prove,
                self._terms.srs,
                self._terms.update_key,
                context=proof_context(self._tools.market.domain, self._task_id, round),
                columns=columns,
                points=points,
                progress=watch,
            )
        finally:
            watch.unwanted.set()
        self._tools.boundary("proof.linear")
        await off_loop(self._tools.state.count_argument, hiding)
        return proof

    async def rule(self, round: int, updates: list[Update]) -> Judged:
        """The rule layer: from the Gram matrix to accept and score.

        Raises:
            Disagreement: the proof says something else than the reference.
        """
        statement = self._terms.statement
        columns = await off_loop(columns_of, updates, statement, self._tools.store)
        matrix = padded(await off_loop(gram, columns), statement.slots)
        active = statement.active_bits(len(updates))
        accept, score = statement.rule.reference(matrix, active, **statement.rule_params)
        inputs = statement.rule_circuit.inputs(upper_triangle(matrix), active, statement.rule_param_list)
        proof = await off_loop(self._stored, round, Layer.RULE)
        if proof is None:
            proof = await self._tools.with_prover(self._tools.prover.prove, statement.rule_circuit, inputs)
            self._tools.boundary("proof.rule")
        expected = (*(x for vector in inputs for x in vector), *accept, *score)
        _require_equal("instances of the rule proof", expected, proof.instances)
        await off_loop(self._keep, round, Layer.RULE, proof)
        return Judged(proof=proof, accept=accept, score=score)

    async def load_both(self, round: int) -> tuple[Proof, Proof]:
        """The stored proofs, linear and rule."""
        loaded = [await off_loop(self._stored, round, layer) for layer in (Layer.LINEAR, Layer.RULE)]
        linear, rule = loaded
        if linear is None or rule is None:
            raise StateLost(f"proofs of round {round} of task {self._task_id} are not in this state")
        return linear, rule

    def _stored(self, round: int, layer: Layer) -> Proof | None:
        cid = self._tools.state.proof(self._task_id, round, layer)
        return None if cid is None else Proof.from_json(self._tools.store.get(cid).decode())

    def _keep(self, round: int, layer: Layer, proof: Proof) -> None:
        cid = self._tools.store.put(proof.to_json().encode())
        self._tools.boundary("store.proof")
        self._tools.state.put_proof(self._task_id, round, layer, cid)


class _Watch:
    """Follows a proof from its thread: says now and then how far it is, and ends it once it is unwanted."""

    def __init__(self, tools: Tools, task_id: int, round: int) -> None:
        self.unwanted = threading.Event()
        self._log = tools.log.bind(task=task_id, round=round)
        self._told_at = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> bool:
        now = time.monotonic()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            self._log.info("proof.progress", stage=stage, done=done, total=total)
        return not self.unwanted.is_set()


def _require_equal(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise Disagreement(what, expected, found)
