import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.bn254 import sum_points
from circuits.commitment import SALT_ROWS, Column, check_opening, commit, draw_salts, empty_column
from circuits.errors import CommitmentMismatch, FieldError
from circuits.fixedpoint import FixedPoint
from circuits.srs import Srs

FMT = FixedPoint(bits=8, fraction_bits=7)


def column(values: list[int], fmt: FixedPoint = FMT) -> Column:
    return Column(values=np.array(values, dtype=np.int64), salts=draw_salts(fmt))


@settings(max_examples=5)
@given(
    st.lists(st.integers(-128, 127), min_size=3, max_size=3), st.lists(st.integers(-128, 127), min_size=3, max_size=3)
)
def test_commitments_add_like_columns(srs: Srs, left: list[int], right: list[int]) -> None:
    a, b = column(left), column(right)
    both = Column(values=a.values + b.values, salts=a.salts + b.salts, tail=2)
    assert sum_points([commit(a, srs), commit(b, srs)]) == commit(both, srs)


def test_every_part_of_a_column_is_bound(srs: Srs) -> None:
    base = column([1, 2, 3])
    point = commit(base, srs)
    check_opening(base, point, srs)
    salts = base.salts.copy()
    salts[-1] ^= 1
    others = [
        Column(values=np.array([1, 2, 4], dtype=np.int64), salts=base.salts),
        Column(values=np.array([2, 1, 3], dtype=np.int64), salts=base.salts),
        Column(values=np.array([1, 2], dtype=np.int64), salts=base.salts),
        Column(values=base.values, salts=salts),
        Column(values=base.values, salts=base.salts, tail=2),
    ]
    for other in others:
        with pytest.raises(CommitmentMismatch):
            check_opening(other, point, srs)


def test_salts_hide_equal_updates(srs: Srs) -> None:
    assert commit(column([0, 0]), srs) != commit(column([0, 0]), srs)


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_salts_fill_the_range(bits: int) -> None:
    fmt = FixedPoint(bits=bits, fraction_bits=0)
    salts = np.concatenate([draw_salts(fmt) for _ in range(20)])
    assert salts.dtype == np.int64
    assert salts.min() >= fmt.lowest
    assert salts.max() <= fmt.highest
    # 10,240 uniform draws: an extreme eighth that stays empty has probability below 10^-500.
    eighth = (fmt.highest - fmt.lowest + 1) // 8
    assert (salts < fmt.lowest + eighth).any()
    assert (salts > fmt.highest - eighth).any()


def test_range_check_names_the_row() -> None:
    Column(values=np.array([-128, 127]), salts=draw_salts(FMT)).check_range(FMT)
    for bad in (-129, 128):
        with pytest.raises(FieldError, match=r"values\[1\]"):
            Column(values=np.array([0, bad]), salts=draw_salts(FMT)).check_range(FMT)
    salts = draw_salts(FMT)
    salts[7] = 1000
    with pytest.raises(FieldError, match=r"salts\[7\]"):
        Column(values=np.array([0]), salts=salts).check_range(FMT)


@pytest.mark.parametrize(
    ("values", "salts"),
    [
        (np.zeros(3), draw_salts(FMT)),
        (np.zeros((1, 3), dtype=np.int64), draw_salts(FMT)),
        (np.zeros(0, dtype=np.int64), draw_salts(FMT)),
        (np.zeros(3, dtype=np.int64), np.zeros(SALT_ROWS - 1, dtype=np.int64)),
    ],
)
def test_malformed_columns_are_refused(values: np.ndarray, salts: np.ndarray) -> None:
    with pytest.raises(FieldError):
        Column(values=values, salts=salts)


def test_a_column_must_fit_its_domain(srs: Srs) -> None:
    with pytest.raises(FieldError, match="dim"):
        commit(empty_column((1 << 16) - SALT_ROWS - 5), srs)


@pytest.mark.slow
def test_equals_the_provers_own_commitment(srs: Srs, prover) -> None:
    """The point that ezkl puts in front of a proof is this commitment (checked through a child process)."""
    import subprocess
    import sys

    from circuits.statement import DEMO_STATEMENT

    keys = prover.keys(DEMO_STATEMENT.linear_circuit)
    col = column(list(range(-100, 100)))
    script = (
        "import ezkl, json, sys; rows, at, srs = json.load(sys.stdin);"
        "felts = [(x % 21888242871839275222246405745257275088548364400416034343698204186575808495617)"
        ".to_bytes(32, 'little').hex() for x in rows];"
        "p = ezkl.kzg_commit(felts, at + '/vk', at + '/settings.json', srs)[0];"
        "print(json.dumps([p.x, p.y]), flush=True); import os; os._exit(0)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps([col.rows, str(keys.directory), str(srs.path)]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    x, y = (
        int.from_bytes(bytes.fromhex(c.removeprefix("0x")), "little") for c in json.loads(out.stdout.splitlines()[-1])
    )
    assert (x, y) == commit(col, srs)
