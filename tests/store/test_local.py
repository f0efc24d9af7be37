"""The embedded store: whole or not at all, durable, and never believed."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.cid import CHUNK_BYTES, cid_of
from store.errors import CorruptContent, InvalidCid, NotFound, StorageFull, TooLarge
from store.local import ContentStore


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "objects", max_object_bytes=1 << 20)


def files(store: ContentStore) -> list[Path]:
    return [path for path in store.directory.rglob("*") if path.is_file()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.binary(max_size=300_000))
def test_what_is_put_can_be_got(store: ContentStore, data: bytes) -> None:
    cid = store.put(data)
    assert cid == cid_of(data)
    assert store.get(cid) == data
    assert store.has(cid)


def test_put_again_is_one_file(store: ContentStore) -> None:
    store.put(b"a")
    store.put(b"a")
    assert len(files(store)) == 1


def test_missing(store: ContentStore) -> None:
    assert not store.has(cid_of(b"a"))
    with pytest.raises(NotFound):
        store.get(cid_of(b"a"))


def test_a_name_that_is_no_cid_reaches_no_file(store: ContentStore) -> None:
    for bad in (b"", b"../x", b"\x01\x55\x12\x20" + b"/" * 31):
        with pytest.raises(InvalidCid):
            store.get(bad)


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"y" + d[1:], lambda d: b""])
def test_damage_is_noticed(store: ContentStore, damage: object) -> None:
    cid = store.put(b"some bytes")
    [path] = files(store)
    path.write_bytes(damage(b"some bytes"))  # type: ignore[operator]
    with pytest.raises(CorruptContent):
        store.get(cid)
    store.put(b"some bytes")
    assert store.get(cid) == b"some bytes"


def test_size_is_limited_both_ways(store: ContentStore, tmp_path: Path) -> None:
    with pytest.raises(TooLarge) as caught:
        store.put(bytes((1 << 20) + 1))
    assert caught.value.limit_bytes == 1 << 20
    assert files(store) == []
    roomy = ContentStore(store.directory)
    cid = roomy.put(bytes((1 << 20) + 1))
    with pytest.raises(TooLarge):
        store.get(cid)


def test_abandoned_draft_leaves_nothing(store: ContentStore) -> None:
    with pytest.raises(RuntimeError), store.draft() as draft:
        draft.write(b"half")
        raise RuntimeError
    assert files(store) == []


def test_draft_shows_what_it_has(store: ContentStore) -> None:
    with store.draft() as draft:
        draft.write(b"one ")
        assert draft.read() == b"one "
        draft.write(b"two")
        assert (draft.read(), draft.size_bytes) == (b"one two", 7)
        assert draft.cid() == cid_of(b"one two")
        assert draft.keep() == cid_of(b"one two")
    assert store.get(cid_of(b"one two")) == b"one two"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_keeps_nothing(store: ContentStore, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("store.local.os.fsync" if call == "fsync" else "pathlib.Path.replace", full)
        with pytest.raises(StorageFull):
            store.put(b"a")
    assert files(store) == []
    assert store.get(store.put(b"a")) == b"a"


def test_bytes_are_on_disk_before_the_name_is(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash after the rename must not find an empty file: content first, then name, then directory."""
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(handle: int) -> None:
        order.append("directory" if os.path.isdir(f"/proc/self/fd/{handle}") else "content")  # noqa: PTH112
        fsync(handle)

    def record_replace(self: Path, target: Path) -> Path:
        order.append("name")
        return replace(self, target)

    monkeypatch.setattr("store.local.os.fsync", record_fsync)
    monkeypatch.setattr("pathlib.Path.replace", record_replace)
    store.put(b"a")
    assert order[:3] == ["content", "name", "directory"]


def test_leftovers_of_a_crash_are_removed(store: ContentStore) -> None:
    cid = store.put(b"kept")
    (store.directory / "draft-123").write_bytes(b"half")
    assert store.remove_drafts() == 1
    assert store.get(cid) == b"kept"


def test_a_disk_that_refuses_keeps_nothing(store: ContentStore) -> None:
    """The kernel's own refusal, as on a full disk: a process that may write no more than 64 KiB to a file."""
    kept = store.put(b"kept")
    program = f"""
import resource, signal
from pathlib import Path
from store.errors import StorageFull
from store.local import ContentStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
store = ContentStore(Path({str(store.directory)!r}))
try:
    store.put(bytes(1 << 20))
except StorageFull:
    print("full")
store.put(b"small")
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "full\n"
    assert store.get(kept) == b"kept"
    assert store.get(cid_of(b"small")) == b"small"
    assert len(files(store)) == 2


def test_a_stream_checks_what_it_reads_again(store: ContentStore) -> None:
    """Between the look at the whole and the handing out, a file may change."""
    data = bytes(CHUNK_BYTES) + b"tail"
    cid = store.put(data)
    pieces = store.stream(cid)
    assert next(pieces) == bytes(CHUNK_BYTES)
    [path] = files(store)
    path.write_bytes(bytes(CHUNK_BYTES) + b"liat")
    with pytest.raises(CorruptContent):
        next(pieces)


def test_a_damaged_file_is_not_streamed(store: ContentStore) -> None:
    cid = store.put(bytes(CHUNK_BYTES) + b"tail")
    [path] = files(store)
    path.write_bytes(bytes(CHUNK_BYTES) + b"liat")
    with pytest.raises(CorruptContent):
        next(store.stream(cid, 0, 1))


def test_what_was_just_put_is_left_alone(tmp_path: Path) -> None:
    """Whoever put it is about to pin it; putting it again counts as new."""
    store = ContentStore(tmp_path, grace_seconds=100)
    cid = store.put(b"a")
    assert store.collect() == 0
    [path] = files(store)
    long_ago = time.time() - 101
    os.utime(path, (long_ago, long_ago))
    store.put(b"a")
    assert store.collect() == 0
    os.utime(path, (long_ago, long_ago))
    assert store.collect() == 1
    assert not store.has(cid)


def test_nobody_collects_while_somebody_pins(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise what is pinned could go between the look at it and the pin: here a collector starts at that moment."""
    eager = ContentStore(store.directory, grace_seconds=0)
    cid, collecting = store.put(b"a"), []
    has = ContentStore.has

    def interrupted(self: ContentStore, asked: bytes) -> bool:
        found = has(self, asked)
        collecting.append(thread := threading.Thread(target=eager.collect))
        thread.start()
        thread.join(0.2)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(ContentStore, "has", interrupted)
        store.pin(cid, "task-1")
    for thread in collecting:
        thread.join()
    assert store.get(cid) == b"a"


def test_a_pin_survives_and_is_durable(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("store.local._sync_directory", synced.append)
    cid = store.put(b"a")
    synced.clear()
    store.pin(cid, "task-1")
    assert synced == [store.directory / "holders" / "task-1", store.directory / "holders", store.directory]
    assert ContentStore(store.directory).held("task-1") == {cid}
