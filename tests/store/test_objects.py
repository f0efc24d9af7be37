"""Update and model objects: one encoding each, the safetensors library's own; everything else is refused."""

import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from circuits.commitment import SALT_ROWS, Column, draw_salts
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from store.errors import MalformedObject
from store.objects import (
    decode_model,
    decode_update,
    encode_model,
    encode_update,
    model_size_limit_bytes,
    update_size_bytes,
)

FORMATS = [FixedPoint(bits=bits, fraction_bits=7) for bits in (4, 8, 16)]
NARROW = {4: np.int8, 8: np.int8, 16: np.int16}


def column(fmt: FixedPoint, dim: int, seed: int = 1) -> Column:
    rng = np.random.default_rng(seed)
    return Column(values=rng.integers(fmt.lowest, fmt.highest + 1, dim), salts=draw_salts(fmt))


def model(dim: int = 5, tail: int = 841) -> Column:
    rng = np.random.default_rng(2)
    high = 1 << 62
    return Column(values=rng.integers(-high, high, dim), salts=rng.integers(-high, high, SALT_ROWS), tail=tail)


def same(a: Column, b: Column) -> bool:
    return bool((a.values == b.values).all() and (a.salts == b.salts).all() and a.tail == b.tail)


@pytest.mark.parametrize("fmt", FORMATS)
@given(dim=st.integers(1, 2000))
def test_update_and_back(fmt: FixedPoint, dim: int) -> None:
    original = column(fmt, dim)
    data = encode_update(original, fmt)
    assert len(data) == update_size_bytes(dim, fmt)
    assert same(decode_update(data, dim, fmt), original)


@pytest.mark.parametrize("fmt", FORMATS)
def test_update_is_what_the_library_writes(fmt: FixedPoint) -> None:
    original = column(fmt, 13)
    tensors = {
        "values": original.values.astype(NARROW[fmt.bits]),
        "salts": original.salts.astype(NARROW[fmt.bits]),
    }
    assert encode_update(original, fmt) == safetensors.numpy.save(tensors)


def test_model_is_what_the_library_writes() -> None:
    original = model()
    tensors = {"values": original.values, "salts": original.salts}
    assert encode_model(original) == safetensors.numpy.save(tensors, metadata={"tail": "841"})


@given(dim=st.integers(1, 500), tail=st.integers(0, (1 << 63) - 1))
def test_model_and_back(dim: int, tail: int) -> None:
    original = model(dim, tail)
    data = encode_model(original)
    assert len(data) <= model_size_limit_bytes(dim)
    assert same(decode_model(data, dim), original)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("field", ["values", "salts"])
def test_entries_out_of_range_are_not_encoded(fmt: FixedPoint, field: str) -> None:
    original = column(fmt, 9)
    for wrong in (fmt.lowest - 1, fmt.highest + 1):
        vectors = {"values": original.values.copy(), "salts": original.salts.copy()}
        vectors[field][3] = wrong
        with pytest.raises(FieldError) as caught:
            encode_update(Column(**vectors), fmt)
        assert caught.value.field == f"{field}[3]"


def test_entries_out_of_range_are_not_decoded() -> None:
    fmt = FORMATS[0]
    data = bytearray(encode_update(column(fmt, 9), fmt))
    data[-1] = fmt.highest + 1
    with pytest.raises(FieldError) as caught:
        decode_update(bytes(data), 9, fmt)
    assert caught.value.field == "values[8]"


def header_edits(data: bytes) -> dict[str, bytes]:
    """The same body under headers that a lenient reader would take."""
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]

    def packed(fields: object, pad: int = 0) -> bytes:
        text = json.dumps(fields, separators=(",", ":")).encode()
        text = text.ljust(-(-len(text) // 8) * 8 + pad)
        return len(text).to_bytes(8, "little") + text + body

    swapped = {name: dict(header[name]) for name in ("salts", "values")}
    swapped["salts"]["data_offsets"], swapped["values"]["data_offsets"] = [9, 521], [0, 9]
    return {
        "order of keys": packed(dict(reversed(header.items()))),
        "padding": packed(header, 8),
        "metadata": packed({"__metadata__": {"a": "b"}, **header}),
        "offsets": packed(swapped),
        "another tensor": packed({**header, "x": {"dtype": "I8", "shape": [0], "data_offsets": [521, 521]}}),
        "dtype": packed({**header, "values": {**header["values"], "dtype": "U8"}}),
    }


@pytest.mark.parametrize("edit", header_edits(encode_update(column(FORMATS[1], 9), FORMATS[1])))
def test_update_under_another_header_is_refused(edit: str) -> None:
    fmt = FORMATS[1]
    data = header_edits(encode_update(column(fmt, 9), fmt))[edit]
    with pytest.raises(MalformedObject):
        decode_update(data, 9, fmt)


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_update(data, 9, FORMATS[1])
    with pytest.raises(MalformedObject):
        decode_model(data, 9)


@pytest.mark.parametrize("cut", [0, 7, 8, 100, -1])
def test_truncated_objects_are_refused(cut: int) -> None:
    fmt = FORMATS[1]
    with pytest.raises(MalformedObject):
        decode_update(encode_update(column(fmt, 9), fmt)[:cut], 9, fmt)
    with pytest.raises(MalformedObject):
        decode_model(encode_model(model())[:cut], 5)


def test_another_dim_is_refused() -> None:
    fmt = FORMATS[1]
    with pytest.raises(MalformedObject):
        decode_update(encode_update(column(fmt, 9), fmt), 10, fmt)
    for dim in (4, 6):
        with pytest.raises(MalformedObject):
            decode_model(encode_model(model()), dim)


@pytest.mark.parametrize("tail", ["-1", "1e3", str(1 << 63), " 1", "01", ""])
def test_tail_has_one_form(tail: str) -> None:
    original = model()
    tensors = {"values": original.values, "salts": original.salts}
    with pytest.raises(MalformedObject):
        decode_model(safetensors.numpy.save(tensors, metadata={"tail": tail}), 5)


def test_a_huge_header_length_is_refused_at_once() -> None:
    data = bytearray(encode_model(model()))
    data[:8] = (1 << 62).to_bytes(8, "little")
    with pytest.raises(MalformedObject, match="header"):
        decode_model(bytes(data), 5)
