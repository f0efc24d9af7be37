"""Every comparison that settlement makes, attacked with real proofs on a real EVM."""

import dataclasses
from collections.abc import Sequence

import pytest

from circuits.bn254 import SCALAR_MODULUS, G1Point
from circuits.commitment import check_opening, commit, empty_column
from circuits.linear import update_argument
from circuits.linear.gram import full_matrix, padded, upper_triangle
from circuits.model import fold
from contracts.bindings import (
    Domain,
    RoundState,
    Settlement,
    TransactionReverted,
    artifacts,
    proof_context,
    register_vka,
)
from contracts.bindings.deploy import create
from tests.scene import REWARD_PER_ROUND_WEI, TRAINERS, Round, Scene

pytestmark = pytest.mark.slow


def refused(scene: Scene, on: Round, name: str, **changes: object) -> TransactionReverted:
    """Asserts that the round's settlement with these fields changed reverts with this error."""
    settlement = dataclasses.replace(on.settlement, **changes)
    with pytest.raises(TransactionReverted) as caught:
        scene.try_settle(on.task_id, on.number, settlement)
    assert caught.value.error_name == name
    return caught.value


def swapped(sequence: tuple, i: int = 0, j: int = 1) -> tuple:
    items = list(sequence)
    items[i], items[j] = items[j], items[i]
    return tuple(items)


def over_all_slots(scene: Scene, triangle: Sequence[int]) -> list[int]:
    """The rule's input: the Gram triangle, 0 where a slot is empty."""
    return upper_triangle(padded(full_matrix(triangle, TRAINERS), scene.statement.slots))


def plus_one(sequence: tuple, at: int) -> tuple:
    return (*sequence[:at], sequence[at] + 1, *sequence[at + 1 :])


def test_the_honest_settlement_would_pass(scene: Scene, proven: Round) -> None:
    """Or none of what follows would show anything."""
    scene.try_settle(proven.task_id, proven.number, proven.settlement)


class TestCommitments:
    def test_points_swapped_against_the_round(self, scene: Scene, proven: Round) -> None:
        refused(scene, proven, "UpdatesMismatch", points=swapped(proven.settlement.points))

    def test_trainers_swapped_against_the_round(self, scene: Scene, proven: Round) -> None:
        refused(scene, proven, "UpdatesMismatch", trainers=swapped(proven.settlement.trainers))

    def test_a_trainer_dropped(self, scene: Scene, proven: Round) -> None:
        refused(
            scene,
            proven,
            "UpdatesMismatch",
            points=proven.settlement.points[:-1],
            trainers=proven.settlement.trainers[:-1],
        )

    @pytest.mark.parametrize("slot", [0, 3, TRAINERS - 1])
    def test_a_proof_about_another_column(self, scene: Scene, proven: Round, slot: int) -> None:
        """Valid in itself, with its own Gram matrix or with the honest one."""
        columns, points = list(proven.columns), list(proven.points)
        [columns[slot], *_], [points[slot], *_] = scene.draw_columns(99, 0, 2)
        other = scene.argue(proven.task_id, proven.number, columns, points)
        refused(scene, proven, "ProofRejected", update_proof=other.data)
        refused(scene, proven, "ProofRejected", update_proof=other.data, gram=other.instances)

    def test_a_proof_about_a_slot_that_nobody_filled(self, scene: Scene, proven: Round) -> None:
        extra = empty_column(scene.statement.dim, scene.statement.fmt)
        columns, points = [*proven.columns, extra], [*proven.points, commit(extra, scene.srs)]
        other = scene.argue(proven.task_id, proven.number, columns, points)
        trainers = (*proven.settlement.trainers, scene.outsider.address)
        refused(scene, proven, "UpdatesMismatch", points=tuple(points), trainers=trainers)
        refused(scene, proven, "WrongLength", update_proof=other.data)
        refused(scene, proven, "WrongLength", update_proof=other.data, gram=other.instances)

    def test_a_proof_without_a_trainer(self, scene: Scene, proven: Round) -> None:
        other = scene.argue(proven.task_id, proven.number, proven.columns[:-1], proven.points[:-1])
        refused(scene, proven, "WrongLength", update_proof=other.data)
        refused(scene, proven, "WrongLength", update_proof=other.data, gram=other.instances)

    def test_a_valid_proof_over_swapped_columns(self, scene: Scene, proven: Round) -> None:
        columns, points = list(proven.columns), list(proven.points)
        columns[0], columns[1], points[0], points[1] = columns[1], columns[0], points[1], points[0]
        other = scene.prove(proven.task_id, proven.number, columns, points)
        names = ("gram", "accept", "scores", "update_proof", "rule_proof")
        changes = {name: getattr(other.settlement, name) for name in names}
        refused(scene, proven, "ProofRejected", **changes)


class TestContext:
    """The update argument is bound to its chain, market, task and round."""

    @pytest.mark.parametrize("part", ["chain", "market", "task", "round"])
    def test_a_proof_of_the_same_columns_elsewhere(self, scene: Scene, proven: Round, part: str) -> None:
        here = scene.market.domain
        domain = {
            "chain": Domain(chain_id=here.chain_id + 1, market=here.market),
            "market": Domain(chain_id=here.chain_id, market=scene.deployment.verifier),
        }.get(part, here)
        context = proof_context(domain, proven.task_id + (part == "task"), proven.number + (part == "round"))
        elsewhere = update_argument.prove(
            scene.srs, scene.update_key, context=context, columns=proven.columns, points=proven.points
        )
        assert elsewhere.instances == proven.settlement.gram
        refused(scene, proven, "ProofRejected", update_proof=elsewhere.data)

    def test_in_another_task_with_the_same_updates(self, scene: Scene, proven: Round) -> None:
        """All of them agreed to take part twice: each task still wants a proof of its own."""
        task_id = scene.open_task()
        scene.commit_round(task_id, 0, proven.points)
        again = scene.prove(task_id, 0, proven.columns, proven.points)
        refused(scene, again, "ProofRejected", update_proof=proven.settlement.update_proof)
        scene.try_settle(task_id, 0, again.settlement)


class TestGram:
    @pytest.mark.parametrize("at", [0, 1, 8, 27])
    def test_an_entry_off_by_one(self, scene: Scene, proven: Round, at: int) -> None:
        refused(scene, proven, "ProofRejected", gram=plus_one(proven.settlement.gram, at))

    def test_a_rule_proof_of_a_better_gram(self, scene: Scene, proven: Round) -> None:
        """Both proofs are valid, but speak of different Gram matrices: one array serves both, so one fails."""
        gram = plus_one(proven.settlement.gram, 0)
        statement = scene.statement
        inputs = [over_all_slots(scene, gram), statement.active_bits(TRAINERS), list(statement.rule_param_list)]
        rule = scene.prover.prove(statement.rule_circuit, inputs)
        slots = statement.slots
        changes = {
            "rule_proof": rule.data,
            "accept": tuple(map(bool, rule.instances[-2 * slots : -slots])),
            "scores": rule.instances[-slots:],
        }
        refused(scene, proven, "ProofRejected", **changes)
        refused(scene, proven, "ProofRejected", gram=gram, **changes)

    def test_a_rule_proof_with_something_in_an_empty_slot(self, scene: Scene, proven: Round) -> None:
        statement = scene.statement
        triangle = over_all_slots(scene, proven.settlement.gram)
        inputs = [plus_one(tuple(triangle), 7), statement.active_bits(TRAINERS), list(statement.rule_param_list)]
        rule = scene.prover.prove(statement.rule_circuit, inputs)
        assert rule.instances[-16:] == (*map(int, proven.settlement.accept), *proven.settlement.scores)
        refused(scene, proven, "ProofRejected", rule_proof=rule.data)

    def test_out_of_range(self, scene: Scene, proven: Round) -> None:
        for value in (1 << 62, -(1 << 62), -(1 << 63)):
            refused(scene, proven, "GramOutOfRange", gram=(value, *proven.settlement.gram[1:]))

    @pytest.mark.parametrize("cut", [slice(0, -1), slice(0, 0)])
    def test_of_another_size(self, scene: Scene, proven: Round, cut: slice) -> None:
        refused(scene, proven, "WrongLength", gram=proven.settlement.gram[cut])


class TestOutputs:
    @pytest.mark.parametrize("slot", range(TRAINERS))
    def test_an_edited_score(self, scene: Scene, proven: Round, slot: int) -> None:
        name = "ProofRejected" if proven.settlement.accept[slot] else "ScoreWithoutAccept"
        refused(scene, proven, name, scores=plus_one(proven.settlement.scores, slot))

    @pytest.mark.parametrize("slot", range(TRAINERS))
    def test_a_flipped_accept_bit(self, scene: Scene, proven: Round, slot: int) -> None:
        accept, scores = list(proven.settlement.accept), list(proven.settlement.scores)
        accept[slot], scores[slot] = not accept[slot], 0
        refused(scene, proven, "ProofRejected", accept=tuple(accept), scores=tuple(scores))

    def test_an_accepted_empty_slot(self, scene: Scene, proven: Round) -> None:
        refused(scene, proven, "AcceptedInactiveSlot", accept=(*proven.settlement.accept[:-1], True))

    def test_a_score_for_the_empty_slot(self, scene: Scene, proven: Round) -> None:
        refused(scene, proven, "ScoreWithoutAccept", scores=plus_one(proven.settlement.scores, 7))

    def test_scores_of_another_length(self, scene: Scene, proven: Round) -> None:
        refused(scene, proven, "WrongLength", scores=proven.settlement.scores[:-1])


class TestStatement:
    def test_wrong_active_bits(self, scene: Scene, proven: Round) -> None:
        """A rule proof that counts the empty slot as a trainer's."""
        statement = scene.statement
        triangle = over_all_slots(scene, proven.settlement.gram)
        inputs = [triangle, [1] * statement.slots, list(statement.rule_param_list)]
        self._rule_proof_refused(scene, proven, inputs)

    def test_wrong_parameters(self, scene: Scene, proven: Round) -> None:
        """f = 1 accepts one more."""
        inputs = [over_all_slots(scene, proven.settlement.gram), scene.statement.active_bits(TRAINERS), [1]]
        self._rule_proof_refused(scene, proven, inputs)

    def _rule_proof_refused(self, scene: Scene, proven: Round, inputs: list[list[int]]) -> None:
        slots = scene.statement.slots
        rule = scene.prover.prove(scene.statement.rule_circuit, inputs)
        accept, scores = rule.instances[-2 * slots : -slots], rule.instances[-slots:]
        bits = tuple(bool(a) and i < TRAINERS for i, a in enumerate(accept))
        kept = tuple(s if b else 0 for s, b in zip(scores, bits, strict=True))
        refused(scene, proven, "ProofRejected", rule_proof=rule.data, accept=bits, scores=kept)

    def test_another_circuits_key(self, scene: Scene, proven: Round) -> None:
        """A self-made circuit's, registered with the verifier."""
        keys = scene.prover.keys(dataclasses.replace(scene.statement.rule_circuit, slots=7))
        register_vka(scene.chain, scene.outsider, scene.deployment.verifier, keys.vka_words)
        refused(scene, proven, "VkaMismatch", rule_vka=keys.vka_words)

    def test_a_self_made_key_of_the_update_argument(self, scene: Scene, proven: Round) -> None:
        """With a proof that verifies under it: over one entry less, say, or with a range as wide as one likes."""
        dim, bits = scene.statement.dim, scene.statement.fmt.bits
        for other in (
            update_argument.make_key(scene.srs, dim=dim - 1, bits=bits),
            update_argument.make_key(scene.srs, dim=dim, bits=16),
            update_argument.make_key(scene.srs, dim=dim, bits=bits, first_bits=22),
        ):
            context = proof_context(scene.market.domain, proven.task_id, proven.number)
            made = update_argument.prove(
                scene.srs, other, context=context, columns=proven.columns, points=proven.points
            )
            changes = {"update_key": other.words, "update_proof": made.data, "gram": made.instances}
            refused(scene, proven, "UpdateKeyMismatch", **changes)

    @pytest.mark.parametrize("term", ["verifier", "update_key", "rule_vka", "rule_params"])
    def test_other_terms_than_the_tasks(self, scene: Scene, proven: Round, term: str) -> None:
        """A settlement brings the task's terms along: a verifier that accepts everything, say, is none of them."""
        accepting, _ = create(scene.chain, scene.outsider, artifacts.forge("AcceptingVerifier", "Verifiers"))
        other = {"verifier": accepting, "update_key": b"\1" * 32, "rule_vka": b"\1" * 32, "rule_params": (1,)}
        terms = dataclasses.replace(proven.settlement.terms, **{term: other[term]})
        refused(scene, proven, "ProofTermsMismatch", terms=terms)

    def test_an_edited_key(self, scene: Scene, proven: Round) -> None:
        words = proven.settlement.rule_vka
        refused(scene, proven, "VkaMismatch", rule_vka=(*words[:-1], bytes(31) + b"\x01"))

    @pytest.mark.parametrize("at", range(13))
    def test_an_edited_key_of_the_update_argument(self, scene: Scene, proven: Round, at: int) -> None:
        """Points are no points any more, and everything is in the transcript."""
        name = "PrecompileFailed" if at >= 7 else "ProofRejected"
        refused(scene, proven, name, update_key=plus_one(proven.settlement.update_key, at))


class TestProofBytes:
    def test_of_the_rule(self, scene: Scene, proven: Round) -> None:
        proof = proven.settlement.rule_proof
        for forged in (proof[:-1] + bytes([proof[-1] ^ 1]), proof[:-32], b""):
            refused(scene, proven, "ProofRejected", rule_proof=forged)

    @pytest.mark.parametrize("at", ["digits", "running sum", "quotients", "openings"])
    def test_a_point_of_the_update_argument(self, scene: Scene, proven: Round, at: str) -> None:
        """Another point, one that is none, and infinity."""
        proof, digits = proven.settlement.update_proof, 64 * TRAINERS * 3
        offset = {"digits": 64, "running sum": digits, "quotients": digits + 64, "openings": len(proof) - 64}[at]
        for data, name in (
            (proven.points[0].to_bytes(), "ProofRejected"),
            (bytes(63) + b"\1", "InvalidPoint"),
            (bytes(64), "InvalidPoint"),
            (b"\xff" * 64, "InvalidPoint"),
        ):
            refused(scene, proven, name, update_proof=proof[:offset] + data + proof[offset + 64 :])

    @pytest.mark.parametrize("at", [0, TRAINERS, -1])
    def test_an_evaluation_of_the_update_argument(self, scene: Scene, proven: Round, at: int) -> None:
        """A column's, a digit's, and the running sum's at the next row."""
        proof = proven.settlement.update_proof
        offset = 64 * (TRAINERS * 3 + 4) + 32 * at if at >= 0 else len(proof) - 128 - 32
        value = int.from_bytes(proof[offset : offset + 32], "big")
        for other, name in (((value + 1) % SCALAR_MODULUS, "ProofRejected"), (SCALAR_MODULUS, "ScalarOutOfField")):
            refused(scene, proven, name, update_proof=proof[:offset] + other.to_bytes(32, "big") + proof[offset + 32 :])

    def test_of_another_length(self, scene: Scene, proven: Round) -> None:
        s = proven.settlement
        for forged in (s.update_proof[:-32], s.update_proof + bytes(32), b"", s.rule_proof):
            refused(scene, proven, "WrongLength", update_proof=forged)
        refused(scene, proven, "ProofRejected", rule_proof=s.update_proof)


@pytest.fixture(scope="module")
def settled(scene: Scene) -> Round:
    """The first of two rounds, settled for good by somebody who only holds the proofs."""
    task_id = scene.open_task()
    done = scene.committed_round(task_id, 0, seed=2)
    scene.market.settle_round(scene.outsider, task_id, 0, done.settlement)
    return done


class TestReplay:
    """What the proofs of a settled round are worth afterwards."""

    def test_effects_are_the_proven_ones(self, scene: Scene, settled: Round) -> None:
        view = scene.market.round(settled.task_id, 0)
        s = settled.settlement
        assert view.state == RoundState.SETTLED
        assert view.accept == s.accept[:TRAINERS]
        assert view.scores == s.scores[:TRAINERS]
        total = sum(s.scores)
        assert view.paid_wei == tuple(REWARD_PER_ROUND_WEI * x // total for x in s.scores[:TRAINERS])
        task = scene.market.task(settled.task_id)
        assert sum(view.paid_wei) + task.escrow_wei == 2 * REWARD_PER_ROUND_WEI
        accepted = [c for c, a in zip(settled.columns, s.accept, strict=False) if a]
        after = fold(scene.genesis(), accepted, scene.statement.slots)
        check_opening(after, G1Point(*task.model), scene.srs)

    def test_the_same_round_again(self, scene: Scene, settled: Round) -> None:
        refused(scene, settled, "WrongRound")

    def test_in_the_next_round(self, scene: Scene, settled: Round) -> None:
        following = scene.committed_round(settled.task_id, 1, seed=3)
        # The whole settlement, then its proofs alone.
        refused(scene, following, "UpdatesMismatch", **_fields(settled.settlement))
        changes = {name: getattr(settled.settlement, name) for name in ("update_proof", "gram")}
        refused(scene, following, "ProofRejected", **changes)
        refused(scene, following, "ProofRejected", rule_proof=settled.settlement.rule_proof)
        scene.try_settle(following.task_id, following.number, following.settlement)

    def test_in_another_task(self, scene: Scene, settled: Round, proven: Round) -> None:
        refused(scene, proven, "UpdatesMismatch", **_fields(settled.settlement))


def _fields(settlement: Settlement) -> dict[str, object]:
    return {f.name: getattr(settlement, f.name) for f in dataclasses.fields(settlement)}
