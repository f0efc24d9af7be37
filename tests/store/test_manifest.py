"""Manifests: one encoding for each content, and nothing else is taken."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.cid import cid_of, to_text
from store.errors import MalformedObject
from store.manifest import MAX_MANIFEST_BYTES, Manifest, Opening, decode_manifest, encode_manifest

POINT = "0f" * 64


def opening(name: bytes) -> Opening:
    return Opening(cid=to_text(cid_of(name)), commitment=POINT)


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "chain_id": 31337, "market": "0x" + "Ab" * 20, "task_id": 7, "round": 2, "model": opening(b"model"),
        "sealed": False, "accepted": 3, "sum": opening(b"sum"),
    }  # fmt: skip
    return Manifest(**(fields | changes))


wholes = st.integers(0, (1 << 63) - 1)


@given(wholes, wholes, wholes, st.integers(0, 32), st.booleans(), st.binary(), st.none() | st.binary())
def test_what_was_encoded_is_decoded(
    chain_id: int, task_id: int, round: int, accepted: int, sealed: bool, model: bytes, summed: bytes | None
) -> None:
    given = manifest(
        chain_id=chain_id, task_id=task_id, round=round, accepted=accepted, sealed=sealed,
        model=opening(model), sum=None if summed is None else opening(summed),
    )  # fmt: skip
    data = encode_manifest(given)
    assert len(data) <= MAX_MANIFEST_BYTES
    assert decode_manifest(data) == given


def test_the_encoding_is_canonical() -> None:
    data = encode_manifest(manifest())
    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()
    assert list(json.loads(data)) == sorted(json.loads(data))


WRONG: dict[str, tuple[str, object]] = {
    "a number as text": ("task_id", "7"),
    "a number with a point": ("round", 2.0),
    "a negative number": ("round", -1),
    "a number that is too large": ("chain_id", 1 << 63),
    "a switch as a number": ("sealed", 1),
    "more accepted than slots": ("accepted", 33),
    "an address that is too short": ("market", "0x12"),
    "an address with a line after it": ("market", "0x" + "ab" * 20 + "\n"),
    "a CID that is none": ("model", {"cid": "bafy", "commitment": POINT}),
    "a long CID": ("model", {"cid": "b" * 200, "commitment": POINT}),
    "a commitment in capitals": ("model", {"cid": to_text(cid_of(b"x")), "commitment": POINT.upper()}),
    "another key": ("more", 1),
    "no model": ("model", None),
}


@pytest.mark.parametrize(("field", "value"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    document = json.loads(encode_manifest(manifest())) | {field: value}
    with pytest.raises(MalformedObject) as caught:
        decode_manifest(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
    assert caught.value.field.startswith(f"manifest.{field}")


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 2000])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_manifest(data)


def test_other_encodings_of_the_same_are_refused() -> None:
    data = encode_manifest(manifest())
    doubled = data.replace(b'"round":2', b'"round":1,"round":2')
    for other in (data + b" ", json.dumps(json.loads(data)).encode(), b"\xef\xbb\xbf" + data, doubled):
        with pytest.raises(MalformedObject):
            decode_manifest(other)


def test_size_is_looked_at_first() -> None:
    with pytest.raises(MalformedObject, match="bytes") as caught:
        decode_manifest(b"[" * (MAX_MANIFEST_BYTES + 1))
    assert caught.value.field == "manifest"
