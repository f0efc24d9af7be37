"""What both stores keep: the same bytes under the same CIDs, for as long as somebody holds them."""

import secrets
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.cid import CHUNK_BYTES, MAX_LINKS, cid_of
from store.errors import InvalidCid, InvalidHolder, InvalidRange, NotFound, TooLarge
from store.interface import Store
from tests.store.conftest import MAX_OBJECT_BYTES
from tests.store.test_cid import VECTORS, pattern

on_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


@pytest.mark.parametrize("size_bytes", [size for size in VECTORS if size <= MAX_OBJECT_BYTES])
def test_the_same_bytes_have_the_same_cid(any_store: Store, size_bytes: int) -> None:
    data = pattern(size_bytes)
    cid = any_store.put(data)
    assert cid == cid_of(data)
    assert any_store.has(cid)
    assert any_store.get(cid) == data
    assert b"".join(any_store.stream(cid)) == data


@on_fixture
@given(data=st.data())
def test_any_range_comes_out(any_store: Store, data: st.DataObject) -> None:
    size_bytes = 3 * CHUNK_BYTES + 17
    content = pattern(size_bytes)
    cid = any_store.put(content)
    start = data.draw(st.integers(0, size_bytes) | st.sampled_from([CHUNK_BYTES, CHUNK_BYTES - 1, size_bytes]))
    length = data.draw(st.none() | st.integers(0, size_bytes - start))
    end = size_bytes if length is None else start + length
    pieces = list(any_store.stream(cid, start, length))
    assert b"".join(pieces) == content[start:end]
    assert all(0 < len(piece) <= CHUNK_BYTES for piece in pieces)


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 6), (6, None), (5, 1), (3, -1)])
def test_ranges_lie_within_the_object(any_store: Store, start: int, length: int | None) -> None:
    cid = any_store.put(b"12345")
    with pytest.raises(InvalidRange) as caught:
        list(any_store.stream(cid, start, length))
    assert caught.value.size_bytes == 5


def test_what_repeats_itself_is_listed_as_often(any_store: Store) -> None:
    """The chunks of zeros are one block; the object has them all."""
    data = bytes((MAX_LINKS + 2) * CHUNK_BYTES)
    cid = any_store.put(data)
    assert b"".join(any_store.stream(cid, CHUNK_BYTES * MAX_LINKS - 1, 5)) == bytes(5)


def test_missing(any_store: Store) -> None:
    cid = cid_of(secrets.token_bytes(32))
    assert not any_store.has(cid)
    for read in (any_store.get, lambda c: list(any_store.stream(c)), lambda c: any_store.pin(c, "task-1")):
        with pytest.raises(NotFound):
            read(cid)


def test_size_is_limited_both_ways(any_store: Store) -> None:
    data = secrets.token_bytes(1001)
    cid = any_store.put(data)
    any_store.max_object_bytes = 1000
    with pytest.raises(TooLarge) as caught:
        any_store.put(data)
    assert caught.value.limit_bytes == 1000
    for read in (any_store.get, lambda c: list(any_store.stream(c))):
        with pytest.raises(TooLarge):
            read(cid)


def test_what_is_no_cid_of_ours_is_refused(any_store: Store) -> None:
    for bad in (b"", b"../x", cid_of(b"x")[:-1]):
        for call in (any_store.get, any_store.has, lambda c: any_store.pin(c, "task-1")):
            with pytest.raises(InvalidCid):
                call(bad)


def test_a_draft_is_kept_or_forgotten(any_store: Store, tmp_path: Path) -> None:
    content = secrets.token_bytes(50)
    with any_store.draft() as draft:
        draft.write(content)
        assert draft.read() == content
    assert not any_store.has(cid_of(content))
    with any_store.draft() as draft:
        draft.write(content[:10])
        assert draft.read() == content[:10]
        draft.write(content[10:])
        assert draft.keep() == cid_of(content)
    assert any_store.get(cid_of(content)) == content
    assert not list(tmp_path.rglob("draft-*"))


class TestHolding:
    def test_what_nobody_holds_is_collected(self, any_store: Store) -> None:
        held, loose = (any_store.put(secrets.token_bytes(3 * CHUNK_BYTES)) for _ in range(2))
        any_store.pin(held, "task-1")
        assert any_store.collect() > 0
        assert any_store.has(held)
        assert not any_store.has(loose)
        assert len(any_store.get(held)) == 3 * CHUNK_BYTES

    def test_holders_are_counted(self, any_store: Store) -> None:
        """The first model of two tasks may be the same bytes: the end of one must not take it from the other."""
        cid = any_store.put(secrets.token_bytes(100))
        for holder in ("task-1", "task-2", "task-2"):
            any_store.pin(cid, holder)
        assert cid in any_store.held("task-1") & any_store.held("task-2")
        any_store.unpin(cid, "task-2")
        any_store.collect()
        assert any_store.has(cid)
        assert cid not in any_store.held("task-2")
        any_store.unpin(cid, "task-1")
        any_store.collect()
        assert not any_store.has(cid)

    def test_letting_go_of_what_is_not_held_changes_nothing(self, any_store: Store) -> None:
        cid = any_store.put(secrets.token_bytes(100))
        any_store.pin(cid, "task-1")
        any_store.unpin(cid, "task-9")
        any_store.unpin(cid_of(b"never"), "task-1")
        any_store.collect()
        assert any_store.has(cid)

    @pytest.mark.parametrize("holder", ["", "Task", "a/b", "..", "-a", "a" * 65])
    def test_holders_have_plain_names(self, any_store: Store, holder: str) -> None:
        cid = any_store.put(b"x")
        for call in (any_store.pin, any_store.unpin, lambda _, name: any_store.held(name)):
            with pytest.raises(InvalidHolder):
                call(cid, holder)
