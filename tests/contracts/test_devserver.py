"""The embedded chain's HTTP endpoint against clients that do not behave."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from eth_account import Account

from contracts.bindings.devnode import DevNode
from contracts.bindings.devserver import MAX_REQUEST_BYTES, application

SENDER = Account.from_key("0x" + "11" * 32)


class BrokenNode(DevNode):
    def handle(self, method: str, params: list[Any]) -> Any:
        raise RuntimeError("broken")


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(application(DevNode([SENDER.address])))) as running:
        yield running


async def ask(client: TestClient[Any, Any], method: str, *params: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": 9, "method": method, "params": list(params)}
    answer = await (await client.post("/", json=request)).json()
    assert answer["id"] == 9
    return answer


async def test_answers_calls(client: TestClient[Any, Any]) -> None:
    assert (await ask(client, "eth_chainId"))["result"] == hex(131277322940537)


async def test_oversized_requests_are_refused(client: TestClient[Any, Any]) -> None:
    response = await client.post("/", data=b"[" + b" " * MAX_REQUEST_BYTES + b"]")
    assert response.status == 413
    assert "result" in await ask(client, "eth_chainId")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[]", -32600),
        (b"7", -32600),
        (b"{}", -32600),
        (b'{"method": 7}', -32600),
        (b'{"method": "eth_chainId", "params": {"a": 1}}', -32600),
        (b'{"method": "eth_unknown"}', -32601),
        (b'{"method": "eth_call", "params": [1]}', -32602),
    ],
)
async def test_malformed_requests_are_errors(client: TestClient[Any, Any], body: bytes, code: int) -> None:
    answer = await (await client.post("/", data=body)).json()
    assert answer["error"]["code"] == code


async def test_a_fault_of_the_node_is_an_answer_too() -> None:
    async with TestClient(TestServer(application(BrokenNode([])))) as client:
        assert (await ask(client, "eth_chainId"))["error"]["code"] == -32603


async def test_simultaneous_requests_take_turns(client: TestClient[Any, Any]) -> None:
    raws = [
        bytes(
            SENDER.sign_transaction(
                {
                    "to": SENDER.address,
                    "value": 1,
                    "gas": 21_000,
                    "nonce": nonce,
                    "chainId": 131277322940537,
                    "gasPrice": 10**10,
                }
            ).raw_transaction
        ).hex()
        for nonce in range(8)
    ]
    answers = await asyncio.gather(*(ask(client, "eth_sendRawTransaction", "0x" + raw) for raw in raws))
    assert len({answer["result"] for answer in answers}) == 8
    count = (await ask(client, "eth_getTransactionCount", SENDER.address, "latest"))["result"]
    assert count == "0x8"
