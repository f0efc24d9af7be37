"""Proofs for the tests of the Solidity verifier: `python -m tests.native.vectors` writes them again, bit for bit."""

import json
import random
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

from circuits.bn254 import SCALAR_MODULUS as R
from tests.native.cheats import CHEATS, CONTEXT, make_scene
from tests.native.oracle import column, gram_of, make_setup, prove
from tests.native.statement import Proof, Statement, challenges, points_bytes

DIRECTORY = Path(__file__).parents[2] / "contracts" / "test" / "vectors"
Vector = dict[str, Any]

_SHAPES = {  # name: (columns, dim, bits, bits0)
    "one_column": (1, 3, 4, 4),
    "two_columns": (2, 20, 4, 4),
    "wide_column_0": (2, 20, 4, 6),
    "three_columns_of_8": (3, 33, 8, 8),
    "wide_column_0_of_8": (4, 506, 8, 14),
    "two_columns_of_16": (2, 1, 16, 22),
}
_GAS_SHAPES = {f"{count}_columns": (count, 506, 8, 8) for count in (4, 10, 32)}


def honest() -> dict[str, Vector]:
    """True statements of several shapes."""
    return {name: _honest(i, *shape) for i, (name, shape) in enumerate(_SHAPES.items())}


def measured() -> dict[str, Vector]:
    """True statements of the sizes whose gas is measured."""
    return {name: _honest(100 + i, *shape) for i, (name, shape) in enumerate(_GAS_SHAPES.items())}


def cheats() -> dict[str, Vector]:
    """Every cheat, and one honest proof that nobody accepts: a column of small numbers has digits that are all 0."""
    found = {name: vector(*cheat(make_scene(7))) for name, cheat in CHEATS.items()}
    return {**found, "digits_at_infinity": _degenerate()}


FILES: dict[str, Callable[[], dict[str, Vector]]] = {
    "update-argument.json": honest,
    "update-argument-cheats.json": cheats,
    "update-argument-gas.json": measured,
}


def vector(statement: Statement, proof: Proof) -> Vector:
    """What a verifier is given, and the challenges that it must draw, in hexadecimal."""
    return {
        "vk": "0x" + statement.key.to_bytes().hex(),
        "context": "0x" + statement.context.hex(),
        "points": "0x" + points_bytes(statement.points).hex(),
        "gram": "0x" + statement.gram_bytes().hex(),
        "proof": "0x" + proof.to_bytes().hex(),
        "challenges": "0x" + b"".join(c.to_bytes(32, "big") for c in astuple(challenges(statement, proof))).hex(),
    }


def _honest(seed: int, count: int, dim: int, bits: int, bits0: int) -> Vector:
    rng = random.Random(seed)
    setup = make_setup(k=10, dim=dim, bits=bits, bits0=bits0, tau=rng.randrange(R))
    halves = [1 << (bits0 - 1)] + [1 << (bits - 1)] * (count - 1)
    # Rows of both ends of the range first, then any.
    values = [[-half, half - 1, *[rng.randrange(-half, half) for _ in range(dim)]][:dim] for half in halves]
    columns = [column(setup.key, x, half.bit_length(), rng) for x, half in zip(values, halves, strict=True)]
    return vector(*prove(setup, columns, gram_of(columns, dim), CONTEXT, rng))


def _degenerate() -> Vector:
    rng = random.Random(8)
    setup = make_setup(k=10, dim=4, bits=8, bits0=8, tau=rng.randrange(R))
    columns = [[0] * 4 + [1] * 512 + [0] * 502 + [1] * 6]
    return vector(*prove(setup, columns, gram_of(columns, 4), CONTEXT, rng))


def write() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (DIRECTORY / name).write_text(json.dumps(make(), indent=1) + "\n")


if __name__ == "__main__":
    write()
