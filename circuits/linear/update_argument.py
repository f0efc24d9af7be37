"""The update argument: committed columns are in range, and have a given Gram matrix (docs/update-argument.md).

Prover and verifier are the Rust crate's. Columns are those of a round's filled slots, in order; column 0 may be wider,
where it is an anchor that holds a sum of updates.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import merit_native

from circuits.bn254 import G1Point
from circuits.commitment import Column
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.native import Progress, translated
from circuits.proof import Proof
from circuits.srs import Srs

MAX_PROOFS_OF_A_COMMITMENT = 3
"""So many proofs the 512 salt rows hide a column from: each opens one more evaluation of it, and of its digits."""

_GRAM_BYTES = 8
_WORD_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class UpdateKey:
    """A verifying key.

    Attributes:
        data: its 416 bytes.
    """

    data: bytes

    @cached_property
    def digest(self) -> bytes:
        """keccak256 of the bytes: what a task pins."""
        with translated():
            return merit_native.key_digest(self.data)

    @property
    def words(self) -> tuple[int, ...]:
        """13 words: n, omega, 1/n, dim, bits, bits of column 0, SRS digest, selector (2), [tau]_2 (4)."""
        starts = range(0, len(self.data), _WORD_BYTES)
        return tuple(int.from_bytes(self.data[at : at + _WORD_BYTES], "big") for at in starts)


def sum_bits(fmt: FixedPoint, slots: int) -> int:
    """Width of a column that sums the updates of up to slots - 1 trainers: even, and at most 22.

    slots - 1 entries of [-2^(b-1), 2^(b-1)) lie in [-2^(w-1), 2^(w-1)) for w = b + ceil(log2(slots - 1)).
    """
    width = fmt.bits + (slots - 2).bit_length()
    return width + width % 2


def make_key(srs: Srs, *, dim: int, bits: int, first_bits: int | None = None) -> UpdateKey:
    """The key of tasks over this string with columns of `dim` data rows.

    Args:
        bits: width of an entry, 4, 8 or 16.
        first_bits: of an entry of column 0, if it is wider: even, at most 22.
    Raises:
        FieldError: the columns do not fit the string's domain, or a width is none of those.
    """
    with translated():
        return UpdateKey(data=merit_native.make_key(srs.native, dim=dim, bits=bits, bits0=first_bits))


def prove(
    srs: Srs,
    key: UpdateKey,
    *,
    context: bytes,
    columns: Iterable[Column],
    points: Sequence[G1Point],
    progress: Progress | None = None,
) -> Proof:
    """A proof about these columns, verified before it is returned; its instances are the Gram triangle.

    Takes all cores, `peak_bytes` of memory beyond the columns, and no interpreter lock.

    Args:
        context: 32 bytes that the proof is bound to.
        columns: looked at once, in order, so that they need not be in memory together.
        points: the columns' commitments, in order; 1 to 32.
        progress: see `circuits.native`.
    Raises:
        CommitmentMismatch: a column does not open its point.
        FieldError: a row is out of range, or an inner product reaches 2^62.
        SrsError: the string is not the key's, or its side file is missing.
        ProofCancelled: `progress` answered False.
    """
    words = key.words
    n, (bits, first_bits) = words[0], words[4:6]
    with translated():
        native = [
            merit_native.Column(
                column.values.data, column.salts.data, n=n, bits=bits if i else first_bits, tail=column.tail, index=i
            )
            for i, column in enumerate(columns)
        ]
        gram, proof = merit_native.prove(
            srs.native, key=key.data, context=context, points=_joined(points), columns=native, progress=progress
        )
    return Proof(data=proof, instances=unpack_gram(gram))


def verify(key: UpdateKey, *, context: bytes, points: Sequence[G1Point], proof: Proof) -> None:
    """InvalidProof unless the proof holds for these commitments, its own Gram integers and this context."""
    gram = pack_gram(proof.instances)
    with translated():
        merit_native.verify(key=key.data, context=context, points=_joined(points), gram=gram, proof=proof.data)


def peak_bytes(logrows: int) -> int:
    """What `prove` takes at most beyond its columns, for 2^logrows rows and any number of columns."""
    with translated():
        return merit_native.peak_bytes(logrows)


def pack_gram(triangle: Sequence[int]) -> bytes:
    """The integers as they travel: 8 bytes each, big-endian, signed (FieldError for one of 2^62 or more)."""
    for index, value in enumerate(triangle):
        if abs(value) >= 1 << 62:
            raise FieldError(f"gram[{index}]", value, "its magnitude must be below 2^62")
    return b"".join(int(value).to_bytes(_GRAM_BYTES, "big", signed=True) for value in triangle)


def unpack_gram(data: bytes) -> tuple[int, ...]:
    """The inverse of `pack_gram`."""
    starts = range(0, len(data), _GRAM_BYTES)
    return tuple(int.from_bytes(data[at : at + _GRAM_BYTES], "big", signed=True) for at in starts)


def _joined(points: Sequence[G1Point]) -> bytes:
    return b"".join(point.to_bytes() for point in points)
