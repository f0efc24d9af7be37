"""Reference, witness and proof agree; what is not the statement does not verify."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from circuits import graph
from circuits import prover as prover_module
from circuits.circuit import Circuit, Settings
from circuits.errors import FieldError, InvalidProof, ProverCrashed, ProverError, UnsoundCircuit
from circuits.linear.gram import full_matrix, padded, upper_triangle
from circuits.proof import Proof
from circuits.prover import Prover
from circuits.rules.circuit import RuleCircuit
from circuits.rules.joined import RuleGraph
from circuits.statement import DEMO_STATEMENT

pytestmark = pytest.mark.slow

RULE = DEMO_STATEMENT.rule_circuit
SMALL = dataclasses.replace(RULE, slots=3)
SMALL_INPUTS = [[20, 1, -2, 8, 3, 7], [1, 1, 1], [0]]


def rule_inputs(seed: int = 7) -> list[list[int]]:
    rows = np.random.default_rng(seed).integers(-128, 128, (7, 650))
    return [upper_triangle(padded((rows @ rows.T).tolist(), 8)), [1] * 7 + [0], [2]]


@pytest.fixture(scope="module")
def rule_proof(prover: Prover) -> Proof:
    return prover.prove(RULE, rule_inputs())


@pytest.fixture(scope="module")
def small_proof(prover: Prover) -> Proof:
    """Of a smaller circuit."""
    return prover.prove(SMALL, SMALL_INPUTS)


class TestEqualBitForBit:
    def test_rule_layer_in_a_proof(self, prover: Prover, rule_proof: Proof) -> None:
        triangle, active, params = rule_inputs()
        accept, score = RULE.rule.reference(full_matrix(triangle, 8), active, f=2)
        assert list(rule_proof.instances) == [*triangle, *active, *params, *accept, *score]

    @pytest.mark.parametrize("seed", range(12))
    def test_rule_layer_in_a_witness(self, prover: Prover, seed: int) -> None:
        rng = np.random.default_rng(seed)
        count, repeat = int(rng.integers(7, 9)), int(rng.choice([1, 650, 1 << 21]))
        rows = np.zeros((8, 3), dtype=np.int64)
        rows[:count] = rng.choice([rng.integers(-128, 128, (count, 3)), rng.integers(-1, 2, (count, 3))])
        matrix = ((rows @ rows.T) * repeat).tolist()
        active = [1] * count + [0] * (8 - count)
        accept, score = RULE.rule.reference(matrix, active, f=2)
        assert list(prover.witness(RULE, [upper_triangle(matrix), active, [2]])) == accept + score


@dataclass(frozen=True, kw_only=True)
class Permuted(Circuit):
    """The same graph with its outputs reversed by a constant gather: what an unsound configuration confuses."""

    original: RuleCircuit

    @property
    def name(self) -> str:
        return "permuted-" + self.original.name

    @property
    def settings(self) -> Settings:
        return self.original.settings

    @property
    def input_lengths(self) -> tuple[int, ...]:
        return self.original.input_lengths

    def export_onnx(self, path: Path) -> None:
        inner = RuleGraph(self.original.rule.outlier, self.original.rule.contribution, self.original.slots)
        names = [f"i{i}" for i in range(len(self.input_lengths))]
        graph.export(_Reversed(inner), self.input_lengths, names, path)


class _Reversed(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self.inner(*inputs)
        flip = [torch.arange(o.shape[0] - 1, -1, -1) if o.ndim else None for o in outputs]
        return tuple(o if index is None else o[index] for o, index in zip(outputs, flip, strict=True))


class TestCanary:
    """notes: with the library's default, a permuted graph has the same verifying key, and its proofs verify."""

    @pytest.mark.parametrize(("circuit", "inputs"), [(SMALL, SMALL_INPUTS), (RULE, rule_inputs())])
    def test_another_graph_of_the_same_shape(
        self, prover: Prover, circuit: RuleCircuit, inputs: list[list[int]]
    ) -> None:
        forger = Permuted(original=circuit)
        assert prover.keys(forger).vka_digest != prover.keys(circuit).vka_digest
        forged = prover.prove(forger, inputs)
        assert forged.instances != prover.prove(circuit, inputs).instances
        with pytest.raises(InvalidProof):
            prover.verify(circuit, forged)

    def test_settings_that_leave_products_free_are_refused(self, prover: Prover) -> None:
        settings = json.loads((prover.keys(SMALL).directory / "settings.json").read_text())
        prover_module._require_sound(SMALL, settings)
        run_args = settings["run_args"]
        edits = (
            {"einsum_params": {"total_einsum_col_size": 5}},
            {"run_args": run_args | {"disable_freivalds": False}},
            {"run_args": run_args | {"logrows": 14}},
        )
        for edit in edits:
            with pytest.raises(UnsoundCircuit):
                prover_module._require_sound(SMALL, settings | edit)


class TestForgery:
    def test_every_instance_is_bound(self, prover: Prover, rule_proof: Proof) -> None:
        for i in range(len(rule_proof.instances)):
            edited = list(rule_proof.instances)
            edited[i] += 1
            with pytest.raises(InvalidProof):
                prover.verify(RULE, dataclasses.replace(rule_proof, instances=tuple(edited)))

    def test_flipped_bytes(self, prover: Prover, small_proof: Proof) -> None:
        for at in np.linspace(0, len(small_proof.data) - 1, 25, dtype=int).tolist():
            data = bytearray(small_proof.data)
            data[at] ^= 1
            with pytest.raises(InvalidProof):
                prover.verify(SMALL, dataclasses.replace(small_proof, data=bytes(data)))

    def test_another_circuits_proof(self, prover: Prover, rule_proof: Proof, small_proof: Proof) -> None:
        with pytest.raises(InvalidProof):
            prover.verify(RULE, small_proof)
        with pytest.raises(InvalidProof):
            prover.verify(SMALL, rule_proof)

    @pytest.mark.parametrize("cut", [0, 64, 1000])
    def test_truncated(self, prover: Prover, rule_proof: Proof, cut: int) -> None:
        with pytest.raises(InvalidProof):
            prover.verify(RULE, dataclasses.replace(rule_proof, data=rule_proof.data[:cut]))


class TestWorker:
    def test_inputs_of_another_length_never_reach_the_library(self, prover: Prover) -> None:
        with pytest.raises(FieldError, match="inputs"):
            prover.prove(RULE, [[1], [1], [1]])

    def test_an_overflow_is_an_error_not_a_proof(self, prover: Prover) -> None:
        triangle, active, params = rule_inputs()
        with pytest.raises(ProverError):
            prover.prove(RULE, [[1 << 60, *triangle[1:]], active, params])

    def test_a_killed_worker_is_an_error_and_the_next_call_works(self, prover: Prover) -> None:
        with Prover(srs_directory=prover.srs_directory, keys_directory=prover.keys_directory) as other:
            outputs = other.witness(RULE, rule_inputs())
            worker = other._worker._process
            assert worker is not None
            worker.kill()
            worker.join()
            assert other.witness(RULE, rule_inputs()) == outputs

    def test_known_keys_need_no_worker(self, prover: Prover) -> None:
        keys = prover.keys(RULE)
        with Prover(srs_directory=prover.srs_directory, keys_directory=prover.keys_directory) as other:
            assert other.keys(RULE) == keys
            assert other._worker._process is None

    def test_a_crash_during_a_call_is_typed(self, prover: Prover) -> None:
        import os

        with Prover(srs_directory=prover.srs_directory) as other, pytest.raises(ProverCrashed):
            other._worker.call(os._exit, 3)

    def test_a_hanging_call_ends(self) -> None:
        import time

        with Prover() as other, pytest.raises(ProverCrashed, match="no result after"):
            other._worker.call(time.sleep, 60, timeout_seconds=0.5)

    def test_keys_follow_graph_and_string(self, prover: Prover, tmp_path: Path) -> None:
        keys = prover.keys(SMALL)
        assert prover.keys(SMALL).digest == keys.digest
        assert prover.keys(dataclasses.replace(SMALL, slots=4)).digest != keys.digest
        with Prover(srs_directory=tmp_path, keys_directory=tmp_path / "keys") as other:
            other.ensure_test_srs(13)
            fresh = other.keys(SMALL)
        assert fresh.digest != keys.digest
        assert fresh.vka_digest != keys.vka_digest
