"""Nodes that are down, slow, confused or unwilling."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from contracts.bindings import Chain, ChainRefused, ChainUnavailable, TransactionTimeout, chain
from contracts.bindings.errors import BindingsError

SENDER = Account.from_key("0x" + "11" * 32)
Answer = Callable[[dict[str, Any]], tuple[int, bytes]]


@contextmanager
def node_that(answer: Answer) -> Iterator[str]:
    """An HTTP server that answers each JSON-RPC request with a status and a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = answer(json.loads(body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def result(call: dict[str, Any], value: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": value}).encode()


def error(call: dict[str, Any], message: str) -> tuple[int, bytes]:
    return 200, json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32000, "message": message}}).encode()


class Node:
    """Knows one chain and one account; `overrides` replace what it says."""

    def __init__(self, **overrides: Any) -> None:
        self.calls: list[str] = []
        self.results: dict[str, Any] = {
            "eth_chainId": "0x7a69",
            "eth_getTransactionCount": "0x0",
            "eth_maxPriorityFeePerGas": "0x1",
            "eth_getBlockByNumber": {"baseFeePerGas": "0x7", "number": "0x1", "timestamp": "0x5"},
            "eth_getTransactionReceipt": None,
            "eth_sendRawTransaction": "0x" + "00" * 32,
        } | overrides

    def __call__(self, call: dict[str, Any]) -> tuple[int, bytes]:
        self.calls.append(call["method"])
        value = self.results[call["method"]]
        if isinstance(value, Exception):
            return error(call, str(value))
        return result(call, value)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_FIRST_PAUSE_SECONDS", 0.01)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_chain_that_is_down_is_named() -> None:
    with pytest.raises(ChainUnavailable, match="eth_chainId") as caught:
        Chain(f"http://127.0.0.1:{closed_port()}")
    assert caught.value.method == "eth_chainId"


def test_addresses_are_shown_without_secrets() -> None:
    url = f"http://user:password@127.0.0.1:{closed_port()}/v3/api-key?token=secret"
    with pytest.raises(ChainUnavailable) as caught:
        Chain(url)
    for secret in ("user", "password", "api-key", "secret"):
        assert secret not in str(caught.value)


def test_a_chain_that_is_slow_is_unavailable() -> None:
    release = threading.Event()

    def slow(call: dict[str, Any]) -> tuple[int, bytes]:
        release.wait(5)
        return result(call, "0x1")

    with node_that(slow) as url:
        try:
            with pytest.raises(ChainUnavailable, match="Timeout"):
                Chain(url, timeout_seconds=0.2)
        finally:
            release.set()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b"", "HTTP status 500"),
        (429, b"", "HTTP status 429"),
        (200, b"<html>", "not JSON"),
        (200, b'{"hello": "world"}', "not JSON-RPC"),
        (200, b"[]", "not JSON-RPC"),
    ],
)
def test_answers_that_are_no_answers(status: int, body: bytes, words: str) -> None:
    with node_that(lambda _: (status, body)) as url, pytest.raises(ChainUnavailable, match=words):
        Chain(url)


def test_reads_are_tried_again_when_a_node_comes_back() -> None:
    port = closed_port()
    threads: list[threading.Thread] = []

    class Late(HTTPServer):
        allow_reuse_address = True

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            _, content = result(body, "0x7a69")
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    started = threading.Event()
    servers: list[Late] = []

    def start_late() -> None:
        started.wait(0.05)
        servers.append(Late(("127.0.0.1", port), Handler))
        servers[0].serve_forever(poll_interval=0.01)

    threads.append(threading.Thread(target=start_late))
    threads[0].start()
    try:
        assert Chain(f"http://127.0.0.1:{port}").is_local
    finally:
        servers[0].shutdown()
        servers[0].server_close()
        threads[0].join()


def test_a_transaction_is_sent_once_and_waited_for() -> None:
    node = Node()
    with node_that(node) as url, pytest.raises(TransactionTimeout) as caught:
        Chain(url, timeout_seconds=0.3).transfer(SENDER, SENDER.address, 1)
    assert node.calls.count("eth_sendRawTransaction") == 1
    assert caught.value.tx_hash.startswith("0x")


def test_a_refusal_keeps_the_nodes_words() -> None:
    node = Node(eth_sendRawTransaction=RuntimeError("insufficient funds for gas"), eth_getTransactionByHash=None)
    with node_that(node) as url, pytest.raises(ChainRefused, match="insufficient funds") as caught:
        Chain(url, timeout_seconds=0.3).transfer(SENDER, SENDER.address, 1)
    assert SENDER.key.hex() not in str(caught.value)


def test_a_transaction_that_the_node_knows_is_as_good_as_sent() -> None:
    known = {"hash": "0x" + "00" * 32, "nonce": "0x0"}
    receipt = {"status": "0x1", "blockNumber": "0x2", "transactionHash": "0x" + "00" * 32, "gasUsed": "0x5208"}
    node = Node(
        eth_sendRawTransaction=RuntimeError("already known"),
        eth_getTransactionByHash=known,
        eth_getTransactionReceipt=receipt,
    )
    with node_that(node) as url:
        assert Chain(url, timeout_seconds=2).transfer(SENDER, SENDER.address, 1)["status"] == 1


class Rival(Node):
    """Somebody else with the same key is faster: the first nonces are gone when a transaction arrives.

    Attributes:
        sent: the transactions that arrived.
    """

    def __init__(self, words: str, taken: int) -> None:
        receipt = {"status": "0x1", "blockNumber": "0x2", "transactionHash": "0x" + "00" * 32, "gasUsed": "0x5208"}
        super().__init__(eth_getTransactionByHash=None, eth_getTransactionReceipt=receipt)
        self.words, self.taken, self.sent = words, taken, list[TypedTransaction]()

    def __call__(self, call: dict[str, Any]) -> tuple[int, bytes]:
        if call["method"] == "eth_sendRawTransaction":
            self.sent.append(TypedTransaction.from_bytes(HexBytes(call["params"][0])))
            if len(self.sent) <= self.taken:
                self.results["eth_getTransactionCount"] = hex(len(self.sent))
                return error(call, self.words)
        return super().__call__(call)


@pytest.mark.parametrize(
    "words",
    [
        "nonce too low: next nonce 1, tx nonce 0",
        "replacement transaction underpriced",
        "OldNonce, Current nonce: 1, nonce of rejected tx: 0",
        "Invalid transaction nonce: Expected 1, but got 0",
    ],
)
def test_a_nonce_that_somebody_else_used_is_survived(words: str) -> None:
    rival = Rival(words, taken=2)
    with node_that(rival) as url:
        assert Chain(url, timeout_seconds=2).transfer(SENDER, SENDER.address, 1)["status"] == 1
    assert [transaction.as_dict()["nonce"] for transaction in rival.sent] == [0, 1, 2]


def test_a_nonce_that_is_never_right_is_told() -> None:
    rival = Rival("nonce too low", taken=100)
    with node_that(rival) as url, pytest.raises(ChainRefused, match="nonce too low"):
        Chain(url, timeout_seconds=2).transfer(SENDER, SENDER.address, 1)
    assert 1 < len(rival.sent) < 100


def test_a_refusal_is_not_tried_again() -> None:
    rival = Rival("max fee per gas less than block base fee", taken=1)
    with node_that(rival) as url, pytest.raises(ChainRefused):
        Chain(url, timeout_seconds=2).transfer(SENDER, SENDER.address, 1)
    assert len(rival.sent) == 1


def test_fees_leave_room_for_the_base_fee_to_rise() -> None:
    node = Rival("", taken=0)
    with node_that(node) as url:
        Chain(url, timeout_seconds=2).transfer(SENDER, SENDER.address, 1)
    sent = node.sent[0].as_dict()
    assert (sent["type"], sent["maxFeePerGas"], sent["maxPriorityFeePerGas"]) == (2, 2 * 7 + 1, 1)
    assert sent["chainId"] == 31337


def test_oversized_requests_are_refused_not_unavailable() -> None:
    def narrow(call: dict[str, Any]) -> tuple[int, bytes]:
        return (413, b"") if call["method"] == "eth_sendRawTransaction" else Node()(call)

    with node_that(narrow) as url, pytest.raises(BindingsError, match="larger than the node accepts"):
        Chain(url, timeout_seconds=0.3).transfer(SENDER, SENDER.address, 1)


@pytest.mark.parametrize(("chain_id", "local"), [(1, False), (31337, True), (1337, True), (131277322940537, True)])
def test_only_developers_chains_are_local(chain_id: int, local: bool) -> None:
    with node_that(Node(eth_chainId=hex(chain_id))) as url:
        assert Chain(url).is_local is local
