"""What comes from the wire is checked, and what goes out comes back the same."""

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st
from merit.v1.types_pb2 import Chunk, Point

from circuits.bn254 import GENERATOR, G1Point, scale
from contracts.bindings import eip712
from protocol import wire
from protocol.refusals import InvalidChunk, InvalidField, TruncatedUpload


@given(st.integers(1, 1 << 200))
def test_point_and_back(factor: int) -> None:
    point = scale(GENERATOR, factor)
    assert wire.read_point(wire.point_message(point)) == point


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_arbitrary_points_are_refused(x: bytes, y: bytes) -> None:
    with pytest.raises(InvalidField):
        wire.read_point(Point(x=x, y=y))


@given(st.binary(max_size=40).filter(lambda raw: len(raw) != 20))
def test_addresses_have_20_bytes(raw: bytes) -> None:
    with pytest.raises(InvalidField):
        wire.read_address(raw, "trainer")


def test_receipt_and_back() -> None:
    account = Account.from_key(b"\1" * 32)
    point = G1Point(1, 2)
    receipt = eip712.Receipt(
        task_id=7,
        round=3,
        trainer=account.address,
        point_x=point.x,
        point_y=point.y,
        cid_digest=eip712.cid_digest(b"cid"),
        received_at_seconds=99,
        stored_until_seconds=1000,
    )
    assert wire.read_receipt(wire.receipt_message(receipt, b"cid", b"s" * 65)) == receipt


@given(st.integers(0, 3 * wire.CHUNK_BYTES))
def test_chunks_add_up(size: int) -> None:
    data = bytes(size)
    assembly = wire.Assembly(size)
    assert b"".join(assembly.take(chunk) for chunk in wire.chunks(data)) == data
    assembly.require_complete()


@given(st.integers(1, 50), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6))
def test_no_sequence_of_chunks_passes_but_the_bytes_in_order(size: int, parts: list[tuple[int, int]]) -> None:
    assembly, taken = wire.Assembly(size), 0
    try:
        for offset, length in parts:
            expected = offset == taken and 0 < length <= size - taken
            try:
                assembly.take(Chunk(offset_bytes=offset, data=bytes(length)))
            except InvalidChunk:
                assert not expected
                raise
            assert expected
            taken += length
        assembly.require_complete()
    except (InvalidChunk, TruncatedUpload):
        return
    assert taken == size
