"""A round's two proofs: made once, compared with the integer reference, kept in the content store."""

from dataclasses import dataclass

from aggregator.anchors import columns_of
from aggregator.errors import Disagreement, StateLost
from aggregator.jobs import ColumnAt, LinearJob, RuleJob
from aggregator.records import Layer, Update
from aggregator.tools import Tools, off_loop
from aggregator.unsealing import key_of_update
from circuits.linear import update_argument
from circuits.linear.gram import gram, padded, upper_triangle
from circuits.proof import Proof
from contracts.bindings import NOBODY, proof_context
from protocol.holders import holder_of
from protocol.terms import Derived


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
        triangle = upper_triangle(await self._tools.with_store(self._gram, updates))
        proof = await self._tools.with_store(self._stored, round, Layer.LINEAR)
        if proof is None:
            proof = await self._argue(round, updates)
        _require_equal("Gram matrix of the update argument", tuple(triangle), proof.instances)
        await self._tools.with_store(self._keep, round, Layer.LINEAR, proof)
        return proof

    async def _argue(self, round: int, updates: list[Update]) -> Proof:
        """Makes an update argument, which is counted before it leaves its worker."""
        statement, state = self._terms.statement, self._tools.state
        points = tuple(update.point for update in updates)
        # Each proof opens a little more of what it is about, but everybody knows the empty column.
        hiding = [point for point in points if point != self._terms.empty_column]
        await off_loop(state.require_provable, hiding)
        job = LinearJob(
            task_id=self._task_id,
            round=round,
            logrows=statement.logrows,
            dim=statement.dim,
            fmt=statement.fmt,
            key=self._terms.update_key.data,
            context=proof_context(self._tools.market.domain, self._task_id, round),
            columns=await self._tools.with_store(self._columns_at, updates),
            points=points,
        )
        with self._tools.telemetry.proof(Layer.LINEAR):
            proof = await self._tools.jobs.prove(job, release=lambda: off_loop(state.count_argument, hiding))
        if self._tools.jobs.elsewhere:
            await off_loop(
                update_argument.verify, self._terms.update_key, context=job.context, points=points, proof=proof
            )
        self._tools.boundary("proof.linear")
        return proof

    async def rule(self, round: int, updates: list[Update]) -> Judged:
        """The rule layer: from the Gram matrix to accept and score.

        Raises:
            Disagreement: the proof says something else than the reference.
        """
        statement = self._terms.statement
        matrix = padded(await self._tools.with_store(self._gram, updates), statement.slots)
        active = statement.active_bits(len(updates))
        accept, score = statement.rule.reference(matrix, active, **statement.rule_params)
        inputs = statement.rule_circuit.inputs(upper_triangle(matrix), active, statement.rule_param_list)
        proof = await self._tools.with_store(self._stored, round, Layer.RULE)
        if proof is None:
            with self._tools.telemetry.proof(Layer.RULE):
                proof = await self._prove(round, inputs)
            self._tools.boundary("proof.rule")
        expected = (*(x for vector in inputs for x in vector), *accept, *score)
        _require_equal("instances of the rule proof", expected, proof.instances)
        await self._tools.with_store(self._keep, round, Layer.RULE, proof)
        return Judged(proof=proof, accept=accept, score=score)

    async def _prove(self, round: int, inputs: list[list[int]]) -> Proof:
        statement = self._terms.statement
        pinned = self._terms.rule_keys.vka_digest
        job = RuleJob.of(statement, inputs, task_id=self._task_id, round=round, vka_digest=pinned)
        proof = await self._tools.jobs.prove(job)
        if self._tools.jobs.elsewhere:
            await self._tools.with_prover(self._tools.prover.verify, statement.rule_circuit, proof)
        return proof

    async def load_both(self, round: int) -> tuple[Proof, Proof]:
        """The stored proofs, linear and rule."""
        loaded = [await self._tools.with_store(self._stored, round, layer) for layer in (Layer.LINEAR, Layer.RULE)]
        linear, rule = loaded
        if linear is None or rule is None:
            raise StateLost(f"proofs of round {round} of task {self._task_id} are not in this state")
        return linear, rule

    def _gram(self, updates: list[Update]) -> list[list[int]]:
        return gram(columns_of(updates, self._terms.statement, self._tools))

    def _columns_at(self, updates: list[Update]) -> tuple[ColumnAt, ...]:
        return tuple(
            ColumnAt(
                cid=update.cid,
                form="model" if update.trainer == NOBODY else "update",
                key=key_of_update(update, self._tools),
            )
            for update in updates
        )

    def _stored(self, round: int, layer: Layer) -> Proof | None:
        cid = self._tools.state.proof(self._task_id, round, layer)
        return None if cid is None else Proof.from_json(self._tools.store.get(cid).decode())

    def _keep(self, round: int, layer: Layer, proof: Proof) -> None:
        cid = self._tools.store.put_for(holder_of(self._task_id), proof.to_json().encode())
        self._tools.boundary("store.proof")
        self._tools.state.put_proof(self._task_id, round, layer, cid)


def _require_equal(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise Disagreement(what, expected, found)
