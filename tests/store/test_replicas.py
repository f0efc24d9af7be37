"""Objects are found missing or damaged, and made good from peers, who are not believed."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from store.cid import CHUNK_BYTES, MAX_LINKS, cid_of, leaf_cid
from store.devnode import DevKubo, dev_kubo
from store.errors import CorruptContent, StorageFull, StoreError
from store.interface import Store
from store.kubo import KuboStore
from store.local import ContentStore
from store.replicas import Condition, copy, look_after

SIZE = 2 * CHUNK_BYTES + 5


@pytest.fixture
def local(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "mine", grace_seconds=0)


@pytest.fixture
def peer(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "peer", grace_seconds=0)


def path_of(store: ContentStore, cid: bytes) -> Path:
    return store._path(cid)


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("harm", "found"), [(remove, Condition.MISSING), (damage, Condition.DAMAGED), (cut, Condition.DAMAGED)]
)
def test_what_is_wrong_is_taken_from_a_peer(
    local: ContentStore, peer: ContentStore, harm: Callable[[Path], None], found: Condition
) -> None:
    data, fine = secrets.token_bytes(SIZE), local.put(b"fine")
    cid = local.put(data)
    peer.put(data)
    harm(path_of(local, cid))
    findings = list(look_after(local, [fine, cid], holder="task-1", peers=[peer]))
    assert [(f.condition, f.repaired, f.is_whole) for f in findings] == [
        (Condition.WHOLE, False, True),
        (found, True, True),
    ]
    assert local.get(cid) == data
    local.collect()
    assert local.held("task-1") == {cid}


def test_without_a_peer_it_is_said(local: ContentStore, peer: ContentStore) -> None:
    cid = cid_of(b"gone")
    for peers, reason in (([], "there are no peers"), ([peer], "no peer has it")):
        [finding] = look_after(local, [cid], holder="task-1", peers=peers)
        assert not finding.is_whole
        assert finding.reason == reason


def test_a_damaged_peer_is_passed_over(local: ContentStore, peer: ContentStore, tmp_path: Path) -> None:
    data = secrets.token_bytes(SIZE)
    cid = peer.put(data)
    damage(path_of(peer, cid))
    [finding] = look_after(local, [cid], holder="task-1", peers=[peer])
    assert not finding.is_whole
    assert "hash to" in finding.reason
    assert not local.has(cid)
    third = ContentStore(tmp_path / "third")
    third.put(data)
    [finding] = look_after(local, [cid], holder="task-1", peers=[peer, third])
    assert finding.repaired
    assert local.get(cid) == data


def test_a_full_store_says_so_and_stays_as_it_was(
    local: ContentStore, peer: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid = peer.put(b"x")

    def full(data: bytes) -> bytes:
        raise StorageFull("storage: no room")

    monkeypatch.setattr(local, "replace", full)
    with pytest.raises(StorageFull):
        list(look_after(local, [cid], holder="task-1", peers=[peer]))
    assert not local.has(cid)


@pytest.mark.slow
class TestWithKubo:
    def test_both_ways_between_the_stores(self, local: ContentStore, node: DevKubo, tmp_path: Path) -> None:
        kubo: Store = KuboStore(node.url, spool_directory=tmp_path, timeout_seconds=20)
        data = secrets.token_bytes(SIZE)
        cid = local.put(data)
        copy(cid, local, kubo, holder="task-1")
        assert cid in kubo.held("task-1")
        remove(path_of(local, cid))
        [finding] = look_after(local, [cid], holder="task-1", peers=[kubo])
        assert finding.repaired
        assert local.get(cid) == data

    def test_a_node_that_lost_everything(self, local: ContentStore, tmp_path: Path) -> None:
        cids = [local.put(secrets.token_bytes(SIZE)) for _ in range(3)]
        with dev_kubo() as fresh:
            kubo = KuboStore(fresh.url, spool_directory=tmp_path, timeout_seconds=20)
            findings = list(look_after(kubo, cids, holder="task-1", peers=[local]))
            assert all(f.condition is Condition.MISSING and f.repaired for f in findings)
            assert kubo.held("task-1") == set(cids)

    def test_a_peer_that_is_down_is_a_reason(self, local: ContentStore, tmp_path: Path) -> None:
        with dev_kubo() as fresh:
            gone = KuboStore(fresh.url, spool_directory=tmp_path, timeout_seconds=5)
        [finding] = look_after(local, [cid_of(b"x")], holder="task-1", peers=[gone])
        assert not finding.is_whole
        assert "does not answer" in finding.reason

    def test_a_damaged_root_of_a_node(self, local: ContentStore, tmp_path: Path) -> None:
        """What the node cannot read as a tree is damaged, not lost, and made good."""
        data = secrets.token_bytes(SIZE)
        cid = local.put(data)
        with dev_kubo() as fresh:
            kubo = KuboStore(fresh.url, spool_directory=tmp_path, timeout_seconds=20)
            copy(cid, local, kubo, holder="task-1")
            [root] = [
                p
                for p in (fresh.directory / "blocks").rglob("*.data")
                if 100 < p.stat().st_size < 1000 and leaf_cid(data[:CHUNK_BYTES]) in p.read_bytes()
            ]
            whole = root.read_bytes()
            for damaged in (b"wrong", whole[:-3] + b"xyz", b""):
                root.write_bytes(damaged)
                assert kubo.has(cid)
                with pytest.raises(CorruptContent):
                    kubo.get(cid)
                with pytest.raises(CorruptContent):
                    kubo.pin(cid, "task-2")
                [finding] = look_after(kubo, [cid], holder="task-1", peers=[local])
                assert finding.condition is Condition.DAMAGED
                assert finding.repaired, finding.reason
                assert kubo.get(cid) == data

    def test_a_damaged_block_of_a_node(self, local: ContentStore, tmp_path: Path) -> None:
        """A node does not write a block again that it believes to have: what is damaged there must go first."""
        data, large = secrets.token_bytes(SIZE), secrets.token_bytes(5 + CHUNK_BYTES * (MAX_LINKS + 1))
        cid = local.put(data)
        with dev_kubo() as fresh:
            kubo = KuboStore(fresh.url, spool_directory=tmp_path, timeout_seconds=20)
            copy(cid, local, kubo, holder="task-1")
            [last] = [p for p in (fresh.directory / "blocks").rglob("*.data") if p.stat().st_size == 5]
            last.write_bytes(b"wrong")
            [finding] = look_after(kubo, [cid], holder="task-1", peers=[local])
            assert finding.condition is Condition.DAMAGED
            assert finding.repaired, finding.reason
            assert kubo.get(cid) == data
            assert kubo.held("task-1") == {cid}
            kubo.collect()
            assert kubo.get(cid) == data
            # Over nothing, and with more blocks than fit one call.
            assert kubo.get(kubo.replace(large)) == large


def test_copying_what_is_not_there(local: ContentStore, peer: ContentStore) -> None:
    with pytest.raises(StoreError):
        copy(cid_of(b"x"), local, peer, holder="task-1")
