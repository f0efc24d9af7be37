"""A round's two proofs: made once, compared with the integer reference, kept in the content store."""

from dataclasses import dataclass

from aggregator.errors import Disagreement, StateLost
from aggregator.records import Layer, Update
from aggregator.tools import Tools, off_loop
from circuits.commitment import Column, empty_column
from circuits.linear.gram import gram, upper_triangle
from circuits.proof import Proof
from protocol.terms import Derived
from store.objects import decode_update


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
        """The linear layer: from the updates' commitments to their Gram matrix.

        Raises:
            Disagreement: the proof is about other commitments, or another matrix, than the reference.
        """
        statement = self._terms.statement
        columns = await off_loop(self._columns, updates)
        triangle = upper_triangle(await off_loop(gram, columns))
        proof = await off_loop(self._stored, round, Layer.LINEAR)
        if proof is None:
            rows = [column.rows for column in columns]
            proof = await self._tools.with_prover(self._tools.prover.prove, statement.linear_circuit, rows)
        points = [update.point for update in updates]
        points += [self._terms.empty_slot] * (statement.slots - len(updates))
        _require_equal("points of the linear proof", points, proof.committed_points(statement.slots))
        _require_equal("instances of the linear proof", (*triangle, statement.linear_circuit.tally), proof.instances)
        await off_loop(self._keep, round, Layer.LINEAR, proof)
        return proof

    async def rule(self, round: int, updates: list[Update]) -> Judged:
        """The rule layer: from the Gram matrix to accept and score.

        Raises:
            Disagreement: the proof says something else than the reference.
        """
        statement = self._terms.statement
        matrix = await off_loop(lambda: gram(self._columns(updates)))
        active = statement.active_bits(len(updates))
        accept, score = statement.rule.reference(matrix, active, **statement.rule_params)
        inputs = statement.rule_circuit.inputs(upper_triangle(matrix), active, statement.rule_param_list)
        proof = await off_loop(self._stored, round, Layer.RULE)
        if proof is None:
            proof = await self._tools.with_prover(self._tools.prover.prove, statement.rule_circuit, inputs)
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

    def _columns(self, updates: list[Update]) -> list[Column]:
        statement, store = self._terms.statement, self._tools.store
        columns = [decode_update(store.get(update.cid), statement.dim, statement.fmt) for update in updates]
        return columns + [empty_column(statement.dim)] * (statement.slots - len(updates))

    def _stored(self, round: int, layer: Layer) -> Proof | None:
        cid = self._tools.state.proof(self._task_id, round, layer)
        return None if cid is None else Proof.from_json(self._tools.store.get(cid).decode())

    def _keep(self, round: int, layer: Layer, proof: Proof) -> None:
        cid = self._tools.store.put(proof.to_json().encode())
        self._tools.state.put_proof(self._task_id, round, layer, cid)


def _require_equal(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise Disagreement(what, expected, found)
