"""The update argument: proofs that committed integer vectors are in range and have a given Gram matrix.

Points are 64 bytes (x then y, big-endian, infinity is zeros), words 32 bytes, Gram integers 8 bytes (big-endian,
signed, the upper triangle row by row). Integer vectors are flat buffers of int8, int16, int32 or
int64, such as numpy arrays.
"""

from merit_native._native import (
    KEY_BYTES,
    MAX_BITS,
    MAX_COLUMNS,
    SALT_ROWS,
    TAIL_ROWS,
    Column,
    Srs,
    check_opening,
    commit,
    commit_delta,
    generate_srs,
    key_digest,
    make_key,
    peak_bytes,
    proof_bytes,
    prove,
    verify,
)
from merit_native.errors import (
    Cancelled,
    CommitmentMismatch,
    FieldError,
    GramTooLarge,
    InternalError,
    InvalidProof,
    NativeError,
    OutOfRange,
    SrsError,
)

__all__ = [
    "KEY_BYTES",
    "MAX_BITS",
    "MAX_COLUMNS",
    "SALT_ROWS",
    "TAIL_ROWS",
    "Cancelled",
    "Column",
    "CommitmentMismatch",
    "FieldError",
    "GramTooLarge",
    "InternalError",
    "InvalidProof",
    "NativeError",
    "OutOfRange",
    "Srs",
    "SrsError",
    "check_opening",
    "commit",
    "commit_delta",
    "generate_srs",
    "key_digest",
    "make_key",
    "peak_bytes",
    "proof_bytes",
    "prove",
    "verify",
]
