"""The oracle proves what is true, rejects what is not, and its lies are lies."""

import json
import random
from typing import Any

import pytest

from circuits.bn254 import SCALAR_MODULUS as R
from circuits.bn254 import G1Point, scale
from tests.native import vectors
from tests.native.cheats import CHEATS, CONTEXT, DIM, make_scene
from tests.native.oracle import Setup, column, gram_of, make_setup, prove, verify
from tests.native.polynomials import combine, divide_by_vanishing, evaluate, interpolate, root_of_unity, values_on
from tests.native.statement import MalformedProof, Proof, Statement, VerifyingKey, unpack_gram

HONEST = ["one_column", "two_columns", "wide_column_0", "three_columns_of_8", "wide_column_0_of_8", "two_columns_of_16"]
CHEATS_FILE = "update-argument-cheats.json"


def committed(name: str) -> dict[str, dict[str, str]]:
    return json.loads((vectors.DIRECTORY / name).read_text())


def parsed(vector: dict[str, Any]) -> tuple[Statement, Proof]:
    fields = {name: bytes.fromhex(text[2:]) for name, text in vector.items()}
    points = [G1Point.from_bytes(fields["points"][i : i + 64]) for i in range(0, len(fields["points"]), 64)]
    gram = unpack_gram(fields["gram"], len(points))
    statement = Statement(VerifyingKey.from_bytes(fields["vk"]), fields["context"], points, gram)
    return statement, Proof.from_bytes(fields["proof"], statement)


@pytest.mark.parametrize(("count", "bits", "bits0"), [(1, 4, 4), (2, 4, 10), (3, 8, 8), (1, 16, 16), (2, 8, 22)])
def test_honest_proofs_hold(count: int, bits: int, bits0: int) -> None:
    rng = random.Random(f"{count} {bits} {bits0}")
    setup = make_setup(k=10, dim=7, bits=bits, bits0=bits0, tau=rng.randrange(R))
    widths = [bits0, *[bits] * (count - 1)]
    halves = [1 << (width - 1) for width in widths]
    values = [[-half, half - 1, *[rng.randrange(-half, half) for _ in range(5)]] for half in halves]
    columns = [column(setup.key, x, width, rng) for x, width in zip(values, widths, strict=True)]
    statement, proof = prove(setup, columns, gram_of(columns, 7), CONTEXT, rng)
    assert verify(statement, proof, tau=setup.tau)
    assert Proof.from_bytes(proof.to_bytes(), statement) == proof


def test_the_scene_that_cheats_depart_from_is_true() -> None:
    scene = make_scene(7)
    assert verify(*scene.proven())
    assert verify(*scene.proven(), tau=scene.setup.tau)


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_are_rejected(name: str) -> None:
    assert not verify(*parsed(committed(CHEATS_FILE)[name]), tau=make_scene(7).setup.tau)


def test_rejected_by_the_pairing_too() -> None:
    assert not verify(*parsed(committed(CHEATS_FILE)["gram_entry"]))


def test_an_early_u_lets_a_wrong_gram_matrix_pass() -> None:
    """The draft drew u before W and W_w were absorbed: against that verifier this proof of a wrong claim holds."""
    scene = make_scene(7)
    statement, proof = CHEATS["forged_against_early_u"](scene)
    assert statement.gram != gram_of(scene.columns, DIM)
    assert verify(statement, proof, u_before_openings=True)
    assert not verify(statement, proof)


def test_a_malformed_proof_is_none() -> None:
    statement, proof = make_scene(7).proven()
    data = proof.to_bytes()
    evaluations_at = 64 * (statement.committed_digits + 4)
    for broken in (
        data[:-1],
        data + bytes(32),
        bytes(64) + data[64:],
        data[:31] + bytes([data[31] ^ 1]) + data[32:],
        data[:evaluations_at] + R.to_bytes(32, "big") + data[evaluations_at + 32 :],
    ):
        with pytest.raises(MalformedProof):
            Proof.from_bytes(broken, statement)


@pytest.mark.slow
@pytest.mark.parametrize("name", vectors.FILES)
def test_the_contracts_vectors_are_these(name: str) -> None:
    assert committed(name) == vectors.FILES[name]()


@pytest.mark.parametrize("name", HONEST)
def test_honest_vectors_hold(name: str) -> None:
    assert verify(*parsed(committed("update-argument.json")[name]))


def test_every_cheat_has_a_vector() -> None:
    assert [*CHEATS, "digits_at_infinity"] == list(committed(CHEATS_FILE))


def test_a_zero_digit_column_is_refused() -> None:
    with pytest.raises(MalformedProof, match="infinity"):
        parsed(committed(CHEATS_FILE)["digits_at_infinity"])


# ------------------------------------------------------------ what it is built of


def test_transforms_are_evaluations() -> None:
    rng = random.Random(1)
    polynomial = [rng.randrange(R) for _ in range(16)]
    omega = root_of_unity(4)
    assert values_on(polynomial, 16) == [evaluate(polynomial, pow(omega, i, R)) for i in range(16)]
    assert interpolate(values_on(polynomial, 16)) == polynomial


def test_division_by_the_vanishing_polynomial() -> None:
    rng = random.Random(2)
    quotient = [rng.randrange(R) for _ in range(9)]
    product = combine([[0] * 8 + quotient, quotient], [1, -1])  # (X^8 - 1) q
    assert divide_by_vanishing(product, 8) == (quotient, True)
    assert divide_by_vanishing(combine([product, [1]], [1, 1]), 8) == (quotient, False)


def test_commitments_are_evaluations_at_tau() -> None:
    setup = make_setup(k=10, dim=1, bits=4, bits0=4, tau=12345)
    assert Setup(setup.key, 5).commit([1, 2, 3]) == scale(G1Point(1, 2), 1 + 2 * 5 + 3 * 25)
