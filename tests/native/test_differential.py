"""The native prover and verifier against the oracle, which shares no code with them."""

import json
from pathlib import Path
from typing import Any

import merit_native
import numpy as np
import pytest
from eth_utils import keccak

from circuits.bn254 import G1Point
from tests.native import vectors
from tests.native.oracle import verify
from tests.native.statement import Proof, Statement, VerifyingKey, challenges, unpack_gram

NATIVE_VECTORS = sorted((Path(__file__).parents[2] / "native" / "vectors").glob("*.json"))


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def oracle_vectors(name: str) -> dict[str, dict[str, str]]:
    return json.loads((vectors.DIRECTORY / name).read_text())


def native_verify(vector: dict[str, str]) -> None:
    fields = {name: unhex(vector[name]) for name in ("context", "points", "gram", "proof")}
    merit_native.verify(key=unhex(vector["vk"]), **fields)


def read(vector: dict[str, Any]) -> tuple[Statement, Proof]:
    points = [G1Point.from_bytes(unhex(point)) for point in vector["points"]]
    gram = unpack_gram(unhex(vector["gram"]), len(points))
    statement = Statement(VerifyingKey.from_bytes(unhex(vector["vk"])), unhex(vector["context"]), points, gram)
    return statement, Proof.from_bytes(unhex(vector["proof"]), statement)


def test_there_are_native_vectors() -> None:
    assert len(NATIVE_VECTORS) == 6


@pytest.mark.parametrize("path", NATIVE_VECTORS, ids=lambda path: path.stem)
def test_the_oracle_accepts_native_vectors(path: Path) -> None:
    vector = json.loads(path.read_text())
    statement, proof = read(vector)
    assert verify(statement, proof)
    drawn = challenges(statement, proof)
    assert {name: int(value, 16) for name, value in vector["challenges"].items()} == vars(drawn)
    assert keccak(statement.key.to_bytes()) == unhex(vector["vk_digest"])


@pytest.mark.parametrize("name", oracle_vectors("update-argument.json"))
def test_the_native_verifier_accepts_the_oracles_proofs(name: str) -> None:
    native_verify(oracle_vectors("update-argument.json")[name])


@pytest.mark.parametrize("name", oracle_vectors("update-argument-cheats.json"))
def test_the_native_verifier_rejects_the_oracles_cheats(name: str) -> None:
    with pytest.raises(merit_native.InvalidProof):
        native_verify(oracle_vectors("update-argument-cheats.json")[name])


@pytest.mark.parametrize(("bits", "bits0"), [(4, 4), (8, 14), (16, 22)])
def test_the_oracle_accepts_fresh_native_proofs(tmp_path: Path, bits: int, bits0: int) -> None:
    path = tmp_path / "kzg10.srs"
    merit_native.generate_srs(path, 10)
    srs = merit_native.Srs(path)
    key = merit_native.make_key(srs, dim=40, bits=bits, bits0=bits0)
    rng = np.random.default_rng(bits)
    context, columns, points = bytes(range(32)), [], b""
    for width in (bits0, bits, bits):
        half = 1 << (width - 1)
        values, salts = rng.integers(-half, half, 40), rng.integers(-half, half, 512)
        columns.append(merit_native.Column(values, salts, n=1024, bits=width))
        points += merit_native.commit(srs, values, salts)
    gram, proof = merit_native.prove(srs, key=key, context=context, points=points, columns=columns)
    decoded = [G1Point.from_bytes(points[i : i + 64]) for i in range(0, len(points), 64)]
    statement = Statement(VerifyingKey.from_bytes(key), context, decoded, unpack_gram(gram, 3))
    assert verify(statement, Proof.from_bytes(proof, statement))
    statement.gram[0][1] += 1
    statement.gram[1][0] += 1
    assert not verify(statement, Proof.from_bytes(proof, statement))
