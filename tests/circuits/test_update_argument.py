"""The Python face of the update argument: what it proves is the reference's, and errors are `circuits`'s own."""

import dataclasses

import numpy as np
import pytest
from eth_utils.crypto import keccak

from circuits.bn254 import G1Point, scale, sum_points
from circuits.commitment import Column, commit, draw_salts, empty_column
from circuits.errors import CommitmentMismatch, FieldError, InvalidProof, ProofCancelled
from circuits.fixedpoint import FixedPoint
from circuits.linear.gram import gram, upper_triangle
from circuits.linear.update_argument import (
    UpdateKey,
    make_key,
    pack_gram,
    peak_bytes,
    prove,
    sum_bits,
    unpack_gram,
    verify,
)
from circuits.model import total
from circuits.proof import Proof
from circuits.srs import Srs

DIM = 40
CONTEXT = bytes(31) + b"\1"


def drawn(count: int, fmt: FixedPoint, seed: int = 3) -> list[Column]:
    rows = np.random.default_rng(seed).integers(fmt.lowest, fmt.highest + 1, (count, DIM))
    return [Column(values=row, salts=draw_salts(fmt)) for row in rows]


@dataclasses.dataclass(frozen=True)
class Case:
    key: UpdateKey
    columns: list[Column]
    points: list[G1Point]
    proof: Proof


@pytest.fixture(scope="module")
def small(prover: object) -> Srs:
    return prover.srs(10)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def case(small: Srs) -> Case:
    fmt = FixedPoint(bits=8, fraction_bits=0)
    key, columns = make_key(small, dim=DIM, bits=8), drawn(3, fmt)
    points = [commit(column, small) for column in columns]
    return Case(key, columns, points, prove(small, key, context=CONTEXT, columns=columns, points=points))


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("count", [1, 5])
def test_proves_the_reference(small: Srs, bits: int, count: int) -> None:
    fmt = FixedPoint(bits=bits, fraction_bits=0)
    columns = drawn(count, fmt)
    columns[0].values[:2] = fmt.lowest, fmt.highest
    points = [commit(column, small) for column in columns]
    key = make_key(small, dim=DIM, bits=bits)
    proof = prove(small, key, context=CONTEXT, columns=columns, points=points)
    assert list(proof.instances) == upper_triangle(gram(columns))
    verify(key, context=CONTEXT, points=points, proof=proof)


def test_a_sum_of_updates_may_lead(small: Srs) -> None:
    """The anchor that holds the previous round's sum: entries of more bits, and a tail that counts."""
    fmt, slots = FixedPoint(bits=8, fraction_bits=0), 6
    before, now = drawn(slots - 1, fmt, 1), drawn(2, fmt, 2)
    for column in before:
        column.values[:2] = fmt.lowest, fmt.highest
    columns = [total(before), *now]
    point = sum_points(commit(column, small) for column in before)
    points = [point, *(commit(column, small) for column in now)]
    key = make_key(small, dim=DIM, bits=8, first_bits=sum_bits(fmt, slots))
    proof = prove(small, key, context=CONTEXT, columns=columns, points=points)
    assert list(proof.instances) == upper_triangle(gram(columns))
    verify(key, context=CONTEXT, points=points, proof=proof)
    narrow = make_key(small, dim=DIM, bits=8)
    with pytest.raises(FieldError, match=r"columns\[0\]"):
        prove(small, narrow, context=CONTEXT, columns=columns, points=points)


@pytest.mark.parametrize("count", [1, 2])
def test_colluders_cannot_spoil_the_sum(small: Srs, count: int) -> None:
    """Rows that are never negative have all digits, and yet a sum of which an upper digit is 0 on every row."""
    fmt, slots = FixedPoint(bits=8, fraction_bits=0), 6
    before = drawn(count, fmt, 1)
    for column in before:
        column.values[:], column.salts[:] = abs(column.values) % 100, abs(column.salts) % 100
    summed, point = total(before), sum_points(commit(column, small) for column in before)
    key = make_key(small, dim=DIM, bits=8, first_bits=sum_bits(fmt, slots))
    half, rows = 1 << sum_bits(fmt, slots) - 1, [*summed.values, *summed.salts, summed.tail, 0]
    assert any(not any((int(row) + half) >> 2 * digit & 3 for row in rows) for digit in range(1, 6))
    columns, points = [summed, *drawn(2, fmt, 2)], [point]
    points += [commit(column, small) for column in columns[1:]]
    proof = prove(small, key, context=CONTEXT, columns=columns, points=points)
    verify(key, context=CONTEXT, points=points, proof=proof)


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("slots", [3, 4, 5, 6, 17, 18, 32])
def test_a_sum_fits_its_width(bits: int, slots: int) -> None:
    fmt = FixedPoint(bits=bits, fraction_bits=0)
    width = sum_bits(fmt, slots)
    assert width % 2 == 0
    assert bits <= width <= 22
    assert (slots - 1) * fmt.lowest >= -(1 << width - 1)
    assert max((slots - 1) * fmt.highest, slots - 1) < 1 << width - 1


class TestStatement:
    """Each part of what is proven is bound."""

    def test_context(self, case: Case) -> None:
        with pytest.raises(InvalidProof):
            verify(case.key, context=bytes(32), points=case.points, proof=case.proof)

    def test_points(self, case: Case) -> None:
        first, second, third = case.points
        for points in ([second, first, third], [first, second], [first, second, scale(third, 2)]):
            with pytest.raises((InvalidProof, FieldError)):
                verify(case.key, context=CONTEXT, points=points, proof=case.proof)

    @pytest.mark.parametrize("at", range(6))
    def test_gram(self, case: Case, at: int) -> None:
        edited = tuple(x + (i == at) for i, x in enumerate(case.proof.instances))
        with pytest.raises(InvalidProof):
            verify(
                case.key, context=CONTEXT, points=case.points, proof=dataclasses.replace(case.proof, instances=edited)
            )

    def test_key(self, case: Case, small: Srs) -> None:
        for other in (make_key(small, dim=DIM - 1, bits=8), make_key(small, dim=DIM, bits=8, first_bits=10)):
            assert other.digest != case.key.digest
            with pytest.raises((InvalidProof, FieldError)):
                verify(other, context=CONTEXT, points=case.points, proof=case.proof)

    def test_bytes(self, case: Case) -> None:
        for at in np.linspace(0, len(case.proof.data) - 1, 25, dtype=int).tolist():
            data = bytearray(case.proof.data)
            data[at] ^= 1
            with pytest.raises(InvalidProof):
                verify(
                    case.key,
                    context=CONTEXT,
                    points=case.points,
                    proof=dataclasses.replace(case.proof, data=bytes(data)),
                )


class TestErrors:
    def test_a_column_that_does_not_open_its_point(self, case: Case, small: Srs) -> None:
        points = [*case.points[:2], scale(case.points[2], 2)]
        with pytest.raises(CommitmentMismatch, match="column 2"):
            prove(small, case.key, context=CONTEXT, columns=case.columns, points=points)

    def test_a_row_out_of_range(self, case: Case, small: Srs) -> None:
        values = case.columns[1].values.copy()
        values[5] = 128
        wide = Column(values=values, salts=case.columns[1].salts)
        columns = [case.columns[0], wide]
        points = [case.points[0], commit(wide, small)]
        with pytest.raises(FieldError, match=r"columns\[1\]\[5\]"):
            prove(small, case.key, context=CONTEXT, columns=columns, points=points)

    def test_cancelled(self, case: Case, small: Srs) -> None:
        with pytest.raises(ProofCancelled):
            prove(
                small,
                case.key,
                context=CONTEXT,
                columns=case.columns,
                points=case.points,
                progress=lambda stage, done, total: stage != "quotient",
            )

    def test_dim_beyond_the_domain(self, small: Srs) -> None:
        make_key(small, dim=1024 - 518, bits=8)
        with pytest.raises(FieldError, match="dim"):
            make_key(small, dim=1024 - 517, bits=8)


def test_the_digest_is_of_the_words(case: Case, small: Srs) -> None:
    joined = b"".join(word.to_bytes(32, "big") for word in case.key.words)
    assert joined == case.key.data
    assert case.key.digest == keccak(joined)
    assert case.key.words[0] == 1024
    assert case.key.words[3:6] == (DIM, 8, 8)
    assert case.key.words[6].to_bytes(32, "big").hex() == small.digest


def test_gram_integers_travel(case: Case) -> None:
    values = (0, 1, -1, (1 << 62) - 1, 1 - (1 << 62))
    assert unpack_gram(pack_gram(values)) == values
    for value in (1 << 62, -(1 << 62)):
        with pytest.raises(FieldError, match=r"gram\[1\]"):
            pack_gram((0, value))


def test_memory_does_not_grow_with_columns() -> None:
    assert peak_bytes(21) < 2 << 30


def test_the_empty_column_can_be_proven(small: Srs, case: Case) -> None:
    empty = empty_column(DIM, FixedPoint(bits=8, fraction_bits=0))
    points = [commit(empty, small), case.points[0]]
    proof = prove(small, case.key, context=CONTEXT, columns=[empty, case.columns[0]], points=points)
    assert proof.instances[:2] == (0, 0)
