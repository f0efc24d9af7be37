"""The store of a real IPFS node: restarts, lost peers, damage, a full disk, and a node that lies."""

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import ipfshttpclient
import pytest
from ipfshttpclient.exceptions import VersionMismatch

from store.cid import CHUNK_BYTES, MAX_LINKS, CidBuilder, cid_of, to_text
from store.devnode import DevKubo, dev_kubo
from store.errors import CorruptContent, NotFound, StorageFull, StoreError, StoreUnavailable
from store.kubo import KuboStore
from store.rpc import Refused, Rpc

pytestmark = pytest.mark.slow
SIZE = 3 * CHUNK_BYTES + 5


def store_of(node: DevKubo, tmp_path: Path, timeout_seconds: float = 20) -> KuboStore:
    return KuboStore(node.url, spool_directory=tmp_path / "spool", timeout_seconds=timeout_seconds)


@pytest.fixture
def fresh() -> Iterator[DevKubo]:
    with dev_kubo() as node:
        yield node


def test_what_is_held_survives_a_killed_node(fresh: DevKubo, tmp_path: Path) -> None:
    data = secrets.token_bytes(SIZE)
    store = store_of(fresh, tmp_path)
    cid = store.put(data)
    store.pin(cid, "task-1")
    fresh.stop(kill=True)
    with pytest.raises(StoreUnavailable):
        store.get(cid)
    with pytest.raises(StoreUnavailable):
        store.put(data)
    assert not list(tmp_path.rglob("draft-*"))
    fresh.start()
    store = store_of(fresh, tmp_path)
    assert store.held("task-1") == {cid}
    store.collect()
    assert store.get(cid) == data


def test_a_lost_node_is_made_good_by_its_peer(tmp_path: Path) -> None:
    """Two nodes that see each other, and nobody else: what one holds, the other can take over."""
    data = secrets.token_bytes(SIZE)
    with dev_kubo(offline=False) as second:
        with dev_kubo(offline=False) as first:
            cid = store_of(first, tmp_path).put(data)
            second.connect(first)
            peer = store_of(second, tmp_path)
            assert not peer.has(cid)
            peer.pin(cid, "task-1")
            assert peer.has(cid)
        # The first node is gone, with its directory.
        assert peer.get(cid) == data
        with dev_kubo(offline=False) as third:
            restored = store_of(third, tmp_path, timeout_seconds=2)
            with pytest.raises(NotFound):
                restored.get(cid)
            third.connect(second)
            restored = store_of(third, tmp_path)
            restored.pin(cid, "task-1")
            second.stop(kill=True)
            assert restored.get(cid) == data


def test_the_nodes_own_settings_change_no_cid(tmp_path: Path) -> None:
    """A node's defaults for new files are others with each of its profiles; none of them is used."""
    data = secrets.token_bytes((MAX_LINKS + 2) * 1024 + 5 * CHUNK_BYTES)
    with dev_kubo() as node:
        node.stop()
        path = node.directory / "config"
        config = json.loads(path.read_text())
        config["Import"] = {
            "CidVersion": 0,
            "UnixFSRawLeaves": False,
            "UnixFSChunker": "size-1024",
            "UnixFSFileMaxLinks": 3,
            "HashFunction": "blake3",
        }
        path.write_text(json.dumps(config))
        node.start()
        store = store_of(node, tmp_path)
        assert store.put(data) == cid_of(data)
        assert store.get(cid_of(data)) == data


def block_files(node: DevKubo, size_bytes: int) -> list[Path]:
    return [p for p in (node.directory / "blocks").rglob("*.data") if p.stat().st_size == size_bytes]


def test_damage_on_the_nodes_disk_is_noticed(fresh: DevKubo, tmp_path: Path) -> None:
    """The node itself hands out what it finds; nothing of it comes through."""
    data = secrets.token_bytes(SIZE)
    store = store_of(fresh, tmp_path)
    cid = store.put(data)
    [last] = block_files(fresh, 5)
    last.write_bytes(b"wrong")
    with pytest.raises(CorruptContent):
        store.get(cid)
    pieces = store.stream(cid)
    assert b"".join(next(pieces) for _ in range(3)) == data[:-5]
    with pytest.raises(CorruptContent):
        next(pieces)


def test_a_full_disk_keeps_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """A node on a file system of its own, of 24 MiB: in namespaces of its own, where that is allowed."""
    program = """
import secrets, subprocess, sys
from pathlib import Path
from store.devnode import dev_kubo
from store.errors import StorageFull
from store.kubo import KuboStore

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], check=True)
with dev_kubo(directory=disk) as node:
    store = KuboStore(node.url, spool_directory=Path(sys.argv[2]), timeout_seconds=20)
    small = store.put(b"small")
    store.pin(small, "task-1")
    try:
        store.put(secrets.token_bytes(32 << 20))
    except StorageFull:
        print("full")
    assert store.get(small) == b"small"
    store.collect()
    assert store.get(small) == b"small"
    again = store.put(secrets.token_bytes(1 << 20))
    assert len(store.get(again)) == 1 << 20
    print("works again")
"""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", program, str(disk), str(tmp_path)]
    if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine allows no file system of one's own")
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.stdout.split("\n")[:2] == ["full", "works again"], done.stderr


def test_only_the_nodes_word_for_it_means_that_an_object_is_lost(
    fresh: DevKubo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever believes an object lost may make another in its place."""
    store = store_of(fresh, tmp_path)
    cid = store.put(b"here")
    assert store.has(cid)
    assert not store.has(cid_of(b"nowhere"))

    def busy(_: Rpc, command: str, *arguments: str, **options: str) -> None:
        raise Refused("context deadline exceeded")

    monkeypatch.setattr(Rpc, "ask", busy)
    with pytest.raises(StoreUnavailable):
        store.has(cid)


class TestWhatUsersKnow:
    """ipfshttpclient 0.7.0 against this Kubo: what docs/store.md says of it."""

    def test_its_connect_refuses_a_current_node(self, node: DevKubo) -> None:
        with pytest.raises(VersionMismatch):
            ipfshttpclient.connect(address(node))

    def test_its_client_reads_and_pins_our_objects(self, node: DevKubo, tmp_path: Path) -> None:
        data = secrets.token_bytes(SIZE)
        cid = to_text(store_of(node, tmp_path).put(data))
        with ipfshttpclient.Client(address(node)) as client:
            assert client.cat(cid) == data
            assert client.cat(cid, offset=7, length=9) == data[7:16]
            client.pin.add(cid)
            assert cid in client.pin.ls(type="recursive")["Keys"]

    def test_we_read_what_it_adds(self, node: DevKubo, tmp_path: Path) -> None:
        data = secrets.token_bytes(SIZE)
        with ipfshttpclient.Client(address(node)) as client:
            text = client.add_bytes(
                data, opts={"cid-version": "1", "raw-leaves": "true", "chunker": f"size-{CHUNK_BYTES}"}
            )
        assert text == to_text(cid_of(data))
        assert store_of(node, tmp_path).get(cid_of(data)) == data


def address(node: DevKubo) -> str:
    host, port = node.url.removeprefix("http://").split(":")
    return f"/ip4/{host}/tcp/{port}/http"


# -------------------------------------------------------------- a node that lies

Answer = Callable[[str], tuple[int, bytes]]


@contextmanager
def liar(answer: Answer) -> Iterator[str]:
    """An RPC that answers whatever it likes; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.path.removeprefix("/api/v0/").split("?")[0])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def leaves(data: bytes) -> list[bytes]:
    builder = CidBuilder()
    builder.update(data)
    return builder.leaves()


def honest(data: bytes) -> dict[str, bytes]:
    """A node's answers about an object."""
    refs = [json.dumps({"Ref": to_text(leaf), "Err": ""}).encode() for leaf in leaves(data)]
    return {"files/stat": json.dumps({"Size": len(data)}).encode(), "refs": b"\n".join(refs), "cat": data}


DATA = secrets.token_bytes(SIZE)
OTHER = secrets.token_bytes(SIZE)
LIES: dict[str, tuple[dict[str, bytes], type[StoreError]]] = {
    "other bytes": ({"cat": OTHER}, CorruptContent),
    "fewer bytes": ({"cat": DATA[:-1]}, CorruptContent),
    "more bytes": ({"cat": DATA + b"x"}, CorruptContent),
    "no bytes": ({"cat": b""}, CorruptContent),
}
LIES_OF_LISTS: dict[str, tuple[dict[str, bytes], type[StoreError]]] = {
    "another object's chunks, and its bytes": (honest(OTHER), CorruptContent),
    "a smaller size": ({"files/stat": b'{"Size": 5}'}, StoreError),
    "a size that is none": ({"files/stat": b'{"Size": "x"}'}, StoreUnavailable),
    "an answer that is none": ({"refs": b"<html>"}, StoreUnavailable),
    "an answer of another kind": ({"refs": b"[1]"}, StoreUnavailable),
}


@pytest.mark.parametrize("name", [*LIES, *LIES_OF_LISTS])
def test_a_node_is_not_believed(name: str, tmp_path: Path) -> None:
    lies, error = {**LIES, **LIES_OF_LISTS}[name]
    answers = {**honest(DATA), **lies}
    with liar(lambda command: (200, answers[command])) as url:
        store = KuboStore(url, spool_directory=tmp_path)
        with pytest.raises(error):
            list(store.stream(cid_of(DATA)))
        if name in LIES:
            with pytest.raises(error):
                store.get(cid_of(DATA))


def test_an_honest_answer_passes(tmp_path: Path) -> None:
    with liar(lambda command: (200, honest(DATA)[command])) as url:
        store = KuboStore(url, spool_directory=tmp_path)
        assert store.get(cid_of(DATA)) == b"".join(store.stream(cid_of(DATA))) == DATA


def test_a_node_that_makes_another_cid_is_not_believed(tmp_path: Path) -> None:
    answer = json.dumps({"Hash": to_text(cid_of(b"y"))}).encode()
    with liar(lambda _: (200, answer)) as url, pytest.raises(StoreUnavailable, match="made"):
        KuboStore(url, spool_directory=tmp_path).put(b"x")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"Message": "write /x: no space left on device", "Code": 0}', StorageFull),
        (b"gateway timeout", StoreUnavailable),
        (b"[]", StoreUnavailable),
        (b'{"Message": "the node has its own reasons"}', StoreUnavailable),
    ],
)
def test_refusals_have_types(body: bytes, error: type[StoreError], tmp_path: Path) -> None:
    with liar(lambda _: (500, body)) as url, pytest.raises(error):
        KuboStore(url, spool_directory=tmp_path).put(b"x")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"1", b"{}", b'{"Entries": 1}', b'{"Entries": [1]}', b'{"Entries": [{}]}', b"["]
)
def test_answers_that_make_no_sense_have_a_type(body: bytes, tmp_path: Path) -> None:
    with liar(lambda _: (200, body)) as url:
        store = KuboStore(url, spool_directory=tmp_path)
        with pytest.raises(StoreUnavailable):
            store.put(b"x")
        if body not in (b"", b"{}"):  # those say that there is nothing
            with pytest.raises(StoreUnavailable):
                store.held("task-1")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("block was not found locally (offline): ipld: could not find x", NotFound),
        ("context deadline exceeded", NotFound),
        ("the node has its own reasons", Refused),
    ],
)
def test_an_object_is_missing_only_if_the_node_says_so(message: str, error: type[StoreError], tmp_path: Path) -> None:
    with liar(lambda _: (500, json.dumps({"Message": message}).encode())) as url:
        store, cid = KuboStore(url, spool_directory=tmp_path), cid_of(b"x")
        for ask in (store.get, lambda cid: list(store.stream(cid)), lambda cid: store.pin(cid, "task-1")):
            with pytest.raises(error):
                ask(cid)


def test_what_the_node_refuses_loses_no_pin(tmp_path: Path) -> None:
    """A node that does not say what a holder keeps is not one that says that nobody keeps anything."""
    asked: list[str] = []

    def answer(command: str) -> tuple[int, bytes]:
        asked.append(command)
        return 500, b'{"Message": "busy"}'

    with liar(answer) as url, pytest.raises(StoreUnavailable):
        KuboStore(url, spool_directory=tmp_path).unpin(cid_of(b"x"), "task-1")
    assert "pin/rm" not in asked


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        Rpc("http://127.0.0.1:9", timeout_seconds=5).ask("version")
