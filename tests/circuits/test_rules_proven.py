"""Full proofs of every combination: what a dishonest prover could try, does not verify."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch

from circuits import rules
from circuits.circuit import Circuit, Settings
from circuits.errors import InvalidProof
from circuits.linear.gram import upper_triangle
from circuits.proof import Proof
from circuits.prover import Prover
from circuits.rules import RuleCircuit
from tests.circuits.test_prover import Permuted
from tests.circuits.unkeyed import witness

pytestmark = pytest.mark.slow

SLOTS = 5
PARAMS: dict[str, dict[str, int]] = {
    "none": {},
    "norm_bound": {"B": 9},
    "multi_krum": {"f": 0},
    "mad": {"c": 1},
    "three_sigma": {"l": 1},
    "aligned": {},
    "cross_round": {"bound_percent": 0, "l": 0},
}
# Each outlier rule and each contribution rule once.
PARTS = [
    "none+equal",
    "norm_bound+leave_one_out",
    "multi_krum+projection",
    "mad+shapley",
    "three_sigma+leave_one_out_reference",
    "aligned+shapley_reference",
    "cross_round+projection",
]
every_part = pytest.mark.parametrize("name", PARTS)
every_combination = pytest.mark.parametrize("name", [rule.name for rule in rules.combinations()])

# Rows 1, 2 and 4 lie at a threshold of every rule: equal, as long as B, orthogonal to the anchor. Row 3 is far away,
# and for cross_round orthogonal to the anchor: there the cosine alone decides about it.
ANCHOR, NEAR, FAR, FAR_ORTHOGONAL = [2, 0, 0], [0, 3, 0], [1, 0, -90], [0, 0, -90]


def circuit_of(name: str) -> RuleCircuit:
    return RuleCircuit(rule=rules.load(*name.split("+")), slots=SLOTS)


def inputs_of(name: str) -> tuple[list[list[int]], list[int]]:
    """(inputs, the reference's accept and score)."""
    rule = rules.load(*name.split("+"))
    far = FAR_ORTHOGONAL if rule.outlier.name == "cross_round" else FAR
    rows = torch.tensor([ANCHOR, NEAR, NEAR, far, NEAR])
    matrix = (rows @ rows.T).tolist()
    active = [0] + [1] * (SLOTS - 1)
    params = PARAMS[rule.outlier.name]
    accept, score = rule.reference(matrix, active, **params)
    inputs = circuit_of(name).inputs(upper_triangle(matrix), active, rule.parameter_list(params))
    return inputs, accept + score


@pytest.fixture(scope="module")
def proof_of(prover: Prover) -> Callable[[str], Proof]:
    return cache(lambda name: prover.prove(circuit_of(name), inputs_of(name)[0]))


@every_combination
def test_the_proof_speaks_of_the_reference(proof_of: Callable[[str], Proof], name: str) -> None:
    inputs, outputs = inputs_of(name)
    assert list(proof_of(name).instances) == [x for vector in inputs for x in vector] + outputs


@every_part
def test_no_single_instance_can_be_edited(prover: Prover, proof_of: Callable[[str], Proof], name: str) -> None:
    honest = proof_of(name)
    for i, value in enumerate(honest.instances):
        for other in {value + 1, value - 1, 0, 1} - {value}:
            edited = (*honest.instances[:i], other, *honest.instances[i + 1 :])
            with pytest.raises(InvalidProof):
                prover.verify(circuit_of(name), dataclasses.replace(honest, instances=edited))


@every_combination
def test_no_single_output_can_be_edited(prover: Prover, proof_of: Callable[[str], Proof], name: str) -> None:
    honest = proof_of(name)
    for i in range(len(honest.instances) - 2 * SLOTS, len(honest.instances)):
        edited = (*honest.instances[:i], 1 - min(honest.instances[i], 1), *honest.instances[i + 1 :])
        with pytest.raises(InvalidProof):
            prover.verify(circuit_of(name), dataclasses.replace(honest, instances=edited))


@every_combination
def test_canary(prover: Prover, proof_of: Callable[[str], Proof], name: str) -> None:
    """Notes on the library: under its defaults a graph with permuted outputs has the same verifying key."""
    circuit, forger = circuit_of(name), Permuted(original=circuit_of(name))
    assert prover.keys(forger).vka_digest != prover.keys(circuit).vka_digest
    forged = prover.prove(forger, inputs_of(name)[0])
    assert forged.instances != proof_of(name).instances
    with pytest.raises(InvalidProof):
        prover.verify(circuit, forged)


@dataclass(frozen=True, kw_only=True)
class OtherComparison(Circuit):
    """The same rule with one comparison exchanged for its strict or its non-strict twin."""

    original: RuleCircuit
    wanted: str
    instead: str

    @property
    def name(self) -> str:
        return f"{self.instead}-{self.original.name}"

    @property
    def settings(self) -> Settings:
        return self.original.settings

    @property
    def input_lengths(self) -> tuple[int, ...]:
        return self.original.input_lengths

    def export_onnx(self, path: Path) -> None:
        honest = getattr(torch.Tensor, self.wanted)
        setattr(torch.Tensor, self.wanted, getattr(torch.Tensor, self.instead))
        try:
            self.original.export_onnx(path)
        finally:
            setattr(torch.Tensor, self.wanted, honest)


class TestOneComparison:
    @pytest.mark.parametrize(
        ("name", "wanted", "instead"),
        [
            ("norm_bound+leave_one_out", "__le__", "__lt__"),
            ("multi_krum+projection", "__le__", "__lt__"),
            ("mad+shapley", "__le__", "__lt__"),
            ("three_sigma+leave_one_out_reference", "__le__", "__lt__"),
            ("aligned+shapley_reference", "__gt__", "__ge__"),
            ("cross_round+projection", "__ge__", "__gt__"),
        ],
    )
    def test_a_graph_that_differs_in_one_does_not_verify(
        self, prover: Prover, proof_of: Callable[[str], Proof], name: str, wanted: str, instead: str
    ) -> None:
        circuit = circuit_of(name)
        forger = OtherComparison(original=circuit, wanted=wanted, instead=instead)
        assert prover.keys(forger).vka_digest != prover.keys(circuit).vka_digest
        forged = prover.prove(forger, inputs_of(name)[0])
        assert forged.instances != proof_of(name).instances  # the inputs tell the two apart
        with pytest.raises(InvalidProof):
            prover.verify(circuit, forged)

    def test_the_inputs_are_what_the_docstring_says(self, prover: Prover) -> None:
        for name in PARTS:
            inputs, outputs = inputs_of(name)
            assert witness(prover, circuit_of(name), inputs) == outputs


def test_keys_depend_on_the_rule_and_slots_alone(prover: Prover) -> None:
    digests = {prover.keys(circuit_of(name)).vka_digest for name in PARTS}
    assert len(digests) == len(PARTS)
    mad = rules.load("mad", "shapley")
    assert prover.keys(RuleCircuit(rule=mad, slots=SLOTS + 1)).vka_digest not in digests
