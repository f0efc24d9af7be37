"""Every comparison that settlement makes, attacked with real proofs on a real EVM."""

import dataclasses

import pytest

from circuits.bn254 import G1Point, scale
from circuits.commitment import check_opening
from circuits.linear.gram import GramCircuit
from circuits.model import fold
from contracts.bindings import RoundState, Settlement, TransactionReverted, artifacts, register_vka
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

    @pytest.mark.parametrize("slot", range(TRAINERS + 1))
    def test_a_proof_about_another_point(self, scene: Scene, proven: Round, slot: int) -> None:
        # The last slot is the empty one: it must hold the task's fixed column, and nobody's update.
        other = scale(proven.points[0], 2).to_bytes()
        proof = proven.settlement.linear_proof
        forged = proof[: 64 * slot] + other + proof[64 * slot + 64 :]
        refused(scene, proven, "ProvenPointMismatch", linear_proof=forged)

    def test_a_valid_proof_over_swapped_columns(self, scene: Scene, proven: Round) -> None:
        columns, points = list(proven.columns), list(proven.points)
        columns[0], columns[1], points[0], points[1] = columns[1], columns[0], points[1], points[0]
        other = scene.prove(proven.task_id, proven.number, columns, points)
        names = ("gram", "accept", "scores", "linear_proof", "rule_proof")
        changes = {name: getattr(other.settlement, name) for name in names}
        error = refused(scene, proven, "ProvenPointMismatch", **changes)
        assert error.error_args == {"slot": 0}


class TestGram:
    @pytest.mark.parametrize("at", [0, 1, 8, 35])
    def test_an_entry_off_by_one(self, scene: Scene, proven: Round, at: int) -> None:
        refused(scene, proven, "ProofRejected", gram=plus_one(proven.settlement.gram, at))

    def test_a_rule_proof_of_a_better_gram(self, scene: Scene, proven: Round) -> None:
        """Both proofs are valid, but speak of different Gram matrices: one array serves both, so one fails."""
        gram = plus_one(proven.settlement.gram, 0)
        statement = scene.statement
        inputs = [list(gram), statement.active_bits(TRAINERS), list(statement.rule_param_list)]
        rule = scene.prover.prove(statement.rule_circuit, inputs)
        slots = statement.slots
        changes = {
            "rule_proof": rule.data,
            "accept": tuple(map(bool, rule.instances[-2 * slots : -slots])),
            "scores": rule.instances[-slots:],
        }
        refused(scene, proven, "ProofRejected", **changes)
        refused(scene, proven, "ProofRejected", gram=gram, **changes)

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
        refused(scene, proven, "AcceptedEmptySlot", accept=(*proven.settlement.accept[:-1], True))

    def test_a_score_for_the_empty_slot(self, scene: Scene, proven: Round) -> None:
        refused(scene, proven, "ScoreWithoutAccept", scores=plus_one(proven.settlement.scores, 7))

    def test_scores_of_another_length(self, scene: Scene, proven: Round) -> None:
        refused(scene, proven, "WrongLength", scores=proven.settlement.scores[:-1])


class TestStatement:
    def test_wrong_active_bits(self, scene: Scene, proven: Round) -> None:
        """A rule proof that counts the empty slot as a trainer's."""
        statement = scene.statement
        inputs = [list(proven.settlement.gram), [1] * statement.slots, list(statement.rule_param_list)]
        self._rule_proof_refused(scene, proven, inputs)

    def test_wrong_parameters(self, scene: Scene, proven: Round) -> None:
        """f = 1 accepts one more."""
        inputs = [list(proven.settlement.gram), scene.statement.active_bits(TRAINERS), [1]]
        self._rule_proof_refused(scene, proven, inputs)

    def _rule_proof_refused(self, scene: Scene, proven: Round, inputs: list[list[int]]) -> None:
        slots = scene.statement.slots
        rule = scene.prover.prove(scene.statement.rule_circuit, inputs)
        accept, scores = rule.instances[-2 * slots : -slots], rule.instances[-slots:]
        bits = tuple(bool(a) and i < TRAINERS for i, a in enumerate(accept))
        kept = tuple(s if b else 0 for s, b in zip(scores, bits, strict=True))
        refused(scene, proven, "ProofRejected", rule_proof=rule.data, accept=bits, scores=kept)

    def test_another_circuits_key(self, scene: Scene, proven: Round) -> None:
        """A self-made circuit of the same shape, registered with the verifier, with a proof that verifies under it."""
        statement = scene.statement
        other = GramCircuit(slots=8, dim=statement.dim - 1, fmt=statement.fmt, logrows=statement.logrows)
        keys = scene.prover.keys(other)
        register_vka(scene.chain, scene.outsider, scene.deployment.verifier, keys.vka_words)
        refused(scene, proven, "VkaMismatch", linear_vka=keys.vka_words)
        refused(scene, proven, "VkaMismatch", rule_vka=keys.vka_words)

    @pytest.mark.parametrize("term", ["verifier", "dim", "linear_vka", "rule_vka", "rule_params"])
    def test_other_terms_than_the_tasks(self, scene: Scene, proven: Round, term: str) -> None:
        """A settlement brings the task's terms along: a verifier that accepts everything, say, is none of them."""
        accepting, _ = create(scene.chain, scene.outsider, artifacts.forge("AcceptingVerifier", "Verifiers"))
        other = {
            "verifier": accepting,
            "dim": 649,
            "linear_vka": b"\1" * 32,
            "rule_vka": b"\1" * 32,
            "rule_params": (1,),
        }
        terms = dataclasses.replace(proven.settlement.terms, **{term: other[term]})
        refused(scene, proven, "ProofTermsMismatch", terms=terms)

    @pytest.mark.parametrize("layer", ["linear_vka", "rule_vka"])
    def test_an_edited_key(self, scene: Scene, proven: Round, layer: str) -> None:
        words = getattr(proven.settlement, layer)
        edited = (*words[:-1], bytes(31) + b"\x01")
        refused(scene, proven, "VkaMismatch", **{layer: edited})

    def test_the_layers_keys_swapped(self, scene: Scene, proven: Round) -> None:
        s = proven.settlement
        refused(
            scene,
            proven,
            "VkaMismatch",
            linear_vka=s.rule_vka,
            rule_vka=s.linear_vka,
        )


class TestProofBytes:
    @pytest.mark.parametrize("layer", ["linear_proof", "rule_proof"])
    def test_flipped_truncated_and_empty(self, scene: Scene, proven: Round, layer: str) -> None:
        proof: bytes = getattr(proven.settlement, layer)
        flipped = proof[:-1] + bytes([proof[-1] ^ 1])
        for forged in (flipped, proof[:-32]):
            refused(scene, proven, "ProofRejected", **{layer: forged})
        name = "LinearProofTooShort" if layer == "linear_proof" else "ProofRejected"
        refused(scene, proven, name, **{layer: b""})

    def test_the_layers_proofs_swapped(self, scene: Scene, proven: Round) -> None:
        s = proven.settlement
        refused(scene, proven, "ProvenPointMismatch", linear_proof=s.rule_proof, rule_proof=s.linear_proof)


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
        refused(scene, following, "ProvenPointMismatch", linear_proof=settled.settlement.linear_proof)
        refused(scene, following, "ProofRejected", rule_proof=settled.settlement.rule_proof)
        scene.try_settle(following.task_id, following.number, following.settlement)

    def test_in_another_task(self, scene: Scene, settled: Round, proven: Round) -> None:
        refused(scene, proven, "UpdatesMismatch", **_fields(settled.settlement))


def _fields(settlement: Settlement) -> dict[str, object]:
    return {f.name: getattr(settlement, f.name) for f in dataclasses.fields(settlement)}
