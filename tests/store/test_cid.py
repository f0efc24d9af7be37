"""CIDs against those of IPFS's own Go library, at every boundary of the tree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from store.cid import CHUNK_BYTES, MAX_LINKS, CidBuilder, cid_of, from_text, is_leaf, leaf_cid, root_of, to_text
from store.errors import InvalidCid

# Made with boxo v0.24.0 (chunker size-262144, balanced layout, 174 links, raw leaves, CIDv1) over `pattern(n)`.
VECTORS = {
    0: "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    5: "bafkreibgvdglonyr2jmmemhmimq5r5usftifdmvyapadbngpatpaimezwy",
    CHUNK_BYTES: "bafkreidtpmdhdmgsrvgltsrlzrfs5ragszmg3o3legvfagtwldoeiucayu",
    CHUNK_BYTES + 1: "bafybeidbuw2hpnkpnbwvz6xirywx74hyz64czv2fhdsr2m2c67bbpsd3m4",
    4 * CHUNK_BYTES: "bafybeicpuivkj2t2alzjptquc2dh7kvbnqnrt2rxx5jceywxha6or7kiii",
    MAX_LINKS * CHUNK_BYTES: "bafybeifkad4lwwpmhjv3zogc6cs6jklt2bcozbnx7e6sa7v2izt4pih4l4",
    MAX_LINKS * CHUNK_BYTES + 1: "bafybeigktympmejeejzzjhua6csk4zi2ddb2m76y7bndfseboyvdmghwcy",
    46_000_000: "bafybeigbbhd6jy54thlqt4alqxqgmdgr2g4vphp65swiyhxdv4j7qa74nm",
}


def pattern(size_bytes: int) -> bytes:
    i = np.arange(size_bytes, dtype=np.int64)
    return ((i * 7 + i // 251) % 256).astype(np.uint8).tobytes()


@pytest.mark.parametrize("size_bytes", VECTORS)
def test_equals_ipfs(size_bytes: int) -> None:
    assert to_text(cid_of(pattern(size_bytes))) == VECTORS[size_bytes]


@given(st.lists(st.binary(max_size=400_000), max_size=5))
def test_pieces_do_not_matter(pieces: list[bytes]) -> None:
    builder = CidBuilder()
    for piece in pieces:
        builder.update(piece)
    assert builder.finish() == cid_of(b"".join(pieces))


def test_finish_can_be_asked_again() -> None:
    builder = CidBuilder()
    builder.update(b"abc")
    assert builder.finish() == builder.finish() == cid_of(b"abc")
    builder.update(b"d")
    assert builder.finish() == cid_of(b"abcd")


@given(st.binary(max_size=100))
def test_text_and_back(data: bytes) -> None:
    assert from_text(to_text(cid_of(data))) == cid_of(data)


@given(st.sampled_from([b"\x55", b"\x70"]), st.binary(min_size=32, max_size=32))
def test_text_is_the_librarys(codec: bytes, digest: bytes) -> None:
    cid = b"\x01" + codec + b"\x12\x20" + digest
    assert to_text(cid) == str(CID.decode(cid).set(base="base32"))


@given(st.sampled_from([b"\x55", b"\x70"]), st.text("ABCDEFabcdef234567=bz é", min_size=50, max_size=60))
def test_one_text_a_cid(codec: bytes, text: str) -> None:
    start = to_text(b"\x01" + codec + b"\x12\x20" + bytes(32))[:6]
    try:
        cid = from_text((start + text)[:59])
    except InvalidCid:
        return
    assert to_text(cid) == (start + text)[:59]


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_a_cid_or_an_error(data: bytes) -> None:
    try:
        text = to_text(data)
    except InvalidCid:
        return
    assert from_text(text) == data


@pytest.mark.parametrize(
    "bad",
    [
        cid_of(b"x")[:-1],
        cid_of(b"x") + b"\0",
        b"\x02" + cid_of(b"x")[1:],
        b"\x01\x71" + cid_of(b"x")[2:],  # dag-cbor
        b"\x01\x55\x13" + cid_of(b"x")[3:],  # SHA-512
        b"\x12\x20" + bytes(32),  # CIDv0
    ],
)
def test_other_cids_are_refused(bad: bytes) -> None:
    with pytest.raises(InvalidCid):
        to_text(bad)


@pytest.mark.parametrize("bad", ["", "b", "../../etc/passwd", "zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA"])
def test_other_texts_are_refused(bad: str) -> None:
    with pytest.raises(InvalidCid):
        from_text(bad)


@pytest.mark.parametrize("size_bytes", VECTORS)
def test_the_root_follows_from_the_leaves(size_bytes: int) -> None:
    data, builder = pattern(size_bytes), CidBuilder()
    builder.update(data)
    leaves = builder.leaves()
    assert leaves == [leaf_cid(data[i : i + CHUNK_BYTES]) for i in range(0, max(size_bytes, 1), CHUNK_BYTES)]
    assert root_of(leaves, size_bytes) == cid_of(data)
    assert all(map(is_leaf, leaves))
    blocks = builder.blocks()
    assert blocks[: len(leaves)] == leaves
    assert blocks[-1] == cid_of(data)
    assert sum(not is_leaf(cid) for cid in blocks) == len(blocks) - len(leaves)
    assert is_leaf(cid_of(data)) == (size_bytes <= CHUNK_BYTES)


def test_leaves_are_as_many_as_the_size_says() -> None:
    for size_bytes in (0, CHUNK_BYTES + 1):
        with pytest.raises(InvalidCid):
            root_of([leaf_cid(b"a")] * 3, size_bytes)
