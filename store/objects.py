"""Updates and models as bytes: safetensors, in exactly one encoding for each content.

Untrusted bytes are compared with the one header that they may have; nothing in them decides how much is allocated.
"""

import json
import math

import numpy as np
from numpy.typing import NDArray

from circuits.commitment import SALT_ROWS, Column
from circuits.fixedpoint import FixedPoint
from store.errors import MalformedObject

_LENGTH_BYTES = 8
_ALIGNMENT_BYTES = 8
_MAX_MODEL_HEADER_BYTES = 1024
_MAX_TAIL = (1 << 63) - 1
_DTYPES: dict[str, np.dtype[np.signedinteger]] = {"I8": np.dtype("<i1"), "I16": np.dtype("<i2"), "I64": np.dtype("<i8")}


def update_dtype(fmt: FixedPoint) -> str:
    """safetensors' name of the narrowest integer that holds an entry: I8 up to 8 bits, I16 for 16."""
    return "I8" if fmt.bits <= 8 else "I16"


def update_size_bytes(dim: int, fmt: FixedPoint) -> int:
    """The one size of an update object."""
    header = _header(dim, update_dtype(fmt))
    return len(header) + (dim + SALT_ROWS) * _DTYPES[update_dtype(fmt)].itemsize


def encode_update(column: Column, fmt: FixedPoint) -> bytes:
    """An update's values int[dim] and salts int[512] as bytes.

    Raises:
        FieldError: an entry is outside the format's range.
    """
    column.check_range(fmt)
    return _encode(column, update_dtype(fmt))


def decode_update(data: bytes, dim: int, fmt: FixedPoint) -> Column:
    """The inverse of `encode_update`.

    Raises:
        MalformedObject: another size, dim, dtype or salt count.
        FieldError: an entry is outside the format's range.
    """
    expected = update_size_bytes(dim, fmt)
    if len(data) != expected:
        raise MalformedObject("size_bytes", len(data), f"an update of {dim} entries has {expected} bytes")
    header = _header(dim, update_dtype(fmt))
    if data[: len(header)] != header:
        limit = f"it must announce {update_dtype(fmt)} tensors salts[{SALT_ROWS}] and values[{dim}], nothing else"
        raise MalformedObject("header", "another one", limit)
    column = _column(data[len(header) :], dim, update_dtype(fmt), tail=1)
    column.check_range(fmt)
    return column


def model_size_limit_bytes(dim: int) -> int:
    """No model object of this many entries is larger."""
    return _MAX_MODEL_HEADER_BYTES + _LENGTH_BYTES + (dim + SALT_ROWS) * _DTYPES["I64"].itemsize


def encode_model(model: Column) -> bytes:
    """A model's values int64[dim], salts int64[512] and tail as bytes."""
    return _encode(model, "I64", {"tail": str(model.tail)})


def decode_model(data: bytes, dim: int) -> Column:
    """The inverse of `encode_model`.

    Raises:
        MalformedObject: another size, dim, dtype or salt count, or no tail.
    """
    limit_bytes = model_size_limit_bytes(dim)
    if len(data) > limit_bytes:
        raise MalformedObject("size_bytes", len(data), f"a model of {dim} entries has at most {limit_bytes} bytes")
    tail = _tail(data)
    header = _header(dim, "I64", {"tail": str(tail)})
    if data[: len(header)] != header:
        limit = f"it must announce I64 tensors salts[{SALT_ROWS}] and values[{dim}], and the tail"
        raise MalformedObject("header", "another one", limit)
    body = data[len(header) :]
    if len(body) != (dim + SALT_ROWS) * 8:
        raise MalformedObject("size_bytes", len(data), f"it must hold {dim + SALT_ROWS} entries of 8 bytes")
    return _column(body, dim, "I64", tail=tail)


def _tail(data: bytes) -> int:
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or length > _MAX_MODEL_HEADER_BYTES:
        raise MalformedObject("header", f"{length} bytes", f"a model's has at most {_MAX_MODEL_HEADER_BYTES}")
    try:
        text = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])["__metadata__"]["tail"]
        if not isinstance(text, str):
            raise TypeError
        tail = int(text)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MalformedObject("tail", "none", "a model's metadata holds it as a decimal string") from None
    if not 0 <= tail <= _MAX_TAIL:
        raise MalformedObject("tail", tail, f"it must lie in [0, {_MAX_TAIL}]")
    return tail


def _header(dim: int, dtype: str, metadata: dict[str, str] | None = None) -> bytes:
    """Length and header as the safetensors library writes them: salts before values, padded to 8 bytes."""
    width = _DTYPES[dtype].itemsize
    salts_bytes = SALT_ROWS * width
    fields: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    fields["salts"] = {"dtype": dtype, "shape": [SALT_ROWS], "data_offsets": [0, salts_bytes]}
    end_bytes = salts_bytes + dim * width
    fields["values"] = {"dtype": dtype, "shape": [dim], "data_offsets": [salts_bytes, end_bytes]}
    text = json.dumps(fields, separators=(",", ":")).encode()
    padded = math.ceil(len(text) / _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
    return padded.to_bytes(_LENGTH_BYTES, "little") + text.ljust(padded)


def _encode(column: Column, dtype: str, metadata: dict[str, str] | None = None) -> bytes:
    body = (vector.astype(_DTYPES[dtype]).tobytes() for vector in (column.salts, column.values))
    return _header(column.dim, dtype, metadata) + b"".join(body)


def _column(body: bytes, dim: int, dtype: str, *, tail: int) -> Column:
    entries: NDArray[np.int64] = np.frombuffer(body, dtype=_DTYPES[dtype]).astype(np.int64)
    return Column(values=entries[SALT_ROWS:], salts=entries[:SALT_ROWS], tail=tail)
