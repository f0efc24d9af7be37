"""Types of the Rust module. Everything here may also raise FieldError, for an argument of the wrong shape."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Final, TypeAlias, final

from typing_extensions import Buffer

# Called as (stage, steps done, steps in all) from the calling thread; an answer of False ends the work.
_Progress: TypeAlias = Callable[[str, int, int], bool | None]

SALT_ROWS: Final = 512
TAIL_ROWS: Final = 6
MAX_COLUMNS: Final = 32
MAX_BITS: Final = 22
KEY_BYTES: Final = 416

@final
class Srs:
    """A structured reference string in halo2's format, mapped; the file must not change while it is open.

    Raises:
        SrsError: the file is missing or malformed.
    """

    def __new__(cls, path: str | PathLike[str]) -> Srs: ...
    @property
    def k(self) -> int:
        """log2 of the number of powers."""

    @property
    def n(self) -> int:
        """The number of powers, and of rows of a column."""

    def digest(self) -> bytes:
        """SHA-256 of the file."""

    def check(self, progress: _Progress | None = None) -> bytes:
        """Checks every point, and that powers and Lagrange points are of one tau; the file's SHA-256.

        Raises:
            SrsError: the string is not what it says.
            Cancelled: `progress` answered False.
        """

    def extend_from(self, larger: Srs) -> None:
        """Writes the side file `<name>.next`, which `prove` needs, from a larger string of the same ceremony.

        Raises:
            SrsError: `larger` is not larger, or not of the same tau.
        """

@final
class Column:
    """A column as `prove` takes it: data, salts, zeros, tail. Holds a copy of the rows, and wipes it at the end.

    Args:
        values: the data rows.
        salts: the 512 salt rows.
        n: rows of the domain.
        bits: every row lies in [-2^(bits - 1), 2^(bits - 1)); at most 22.
        tail: the integer in each of the last 6 rows.
        index: names the column in errors.

    Raises:
        OutOfRange: a row does not fit `bits`.
    """

    def __new__(cls, values: Buffer, salts: Buffer, *, n: int, bits: int, tail: int = 1, index: int = 0) -> Column: ...
    @staticmethod
    def from_rows(rows: Buffer, *, bits: int, index: int = 0) -> Column:
        """From all n rows in order.

        Raises:
            OutOfRange: a row does not fit `bits`.
        """

    @property
    def bits(self) -> int: ...
    def __len__(self) -> int: ...

def generate_srs(path: str | PathLike[str], k: int, progress: _Progress | None = None) -> None:
    """Writes a string of 2^k powers, for tests only, and its side file `<name>.next`. Each appears whole or not at all.

    Raises:
        SrsError: a file cannot be written.
        Cancelled: `progress` answered False.
    """

def make_key(srs: Srs, *, dim: int, bits: int, bits0: int | None = None) -> bytes:
    """The verifying key, 416 bytes, of tasks over this string with columns of `dim` data rows.

    Args:
        bits: 4, 8 or 16.
        bits0: of column 0, if it is wider: even, at most 22.
    """

def key_digest(key: bytes) -> bytes:
    """Keccak-256 of a key, which is checked first."""

def proof_bytes(key: bytes, columns: int) -> int:
    """Length of a proof about so many columns."""

def peak_bytes(k: int) -> int:
    """What `prove` takes at most beyond its columns, for 2^k rows and any number of columns."""

def commit(srs: Srs, values: Buffer, salts: Buffer, *, tail: int = 1) -> bytes:
    """The commitment to data rows, 512 salts, zeros, and 6 tail rows; integers of any width up to int64."""

def commit_delta(srs: Srs, point: bytes, *, row: int, change: int) -> bytes:
    """The commitment after `change` was added to one row: one multiplication."""

def check_opening(srs: Srs, point: bytes, values: Buffer, salts: Buffer, *, tail: int = 1) -> None:
    """Raises CommitmentMismatch unless `point` is what `commit` says."""

def prove(
    srs: Srs,
    *,
    key: bytes,
    context: bytes,
    points: bytes,
    columns: Sequence[Column],
    progress: _Progress | None = None,
) -> tuple[bytes, bytes]:
    """The columns' Gram integers (8 bytes each, upper triangle row by row), and the proof of them.

    Runs without the interpreter's lock, on all cores, in `peak_bytes` of memory beyond the columns.

    Args:
        key: from `make_key`.
        context: keccak256(abi.encode(chain id, contract, task, round)).
        points: the columns' registered commitments, 64 bytes each, in order.
        columns: 1 to 32.

    Raises:
        CommitmentMismatch: a column does not open its point.
        GramTooLarge: an inner product reaches 2^62.
        SrsError: the string is not the key's, or its side file is missing.
        Cancelled: `progress` answered False.
    """

def verify(*, key: bytes, context: bytes, points: bytes, gram: bytes, proof: bytes) -> None:
    """Raises InvalidProof, with the reason, unless the proof holds for exactly this statement."""
