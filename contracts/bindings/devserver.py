"""The embedded chain's HTTP endpoint: JSON-RPC 2.0, one request at a time."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web
from eth_account import Account

from contracts.bindings.devnode import DevNode, RpcError

MAX_REQUEST_BYTES = 1 << 20

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INTERNAL_ERROR = -32603


def application(node: DevNode) -> web.Application:
    """The JSON-RPC endpoint of a DevNode. Requests over MAX_REQUEST_BYTES are answered with HTTP 413."""
    # One thread: py-evm computes for seconds, and must never do two things at a time.
    worker = ThreadPoolExecutor(max_workers=1)

    async def post(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            call = json.loads(body)
        except ValueError:
            return web.json_response(_error(None, PARSE_ERROR, "the request is not JSON"))
        answer = await asyncio.get_running_loop().run_in_executor(worker, _answer, node, call)
        return web.json_response(answer)

    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_post("/", post)
    return app


def _answer(node: DevNode, call: Any) -> dict[str, Any]:
    well_formed = (
        isinstance(call, dict) and isinstance(call.get("method"), str) and isinstance(call.get("params", []), list)
    )
    if not well_formed:
        return _error(None, INVALID_REQUEST, "a request is one object with a method and a list of params")
    identity = call.get("id")
    try:
        result = node.handle(call["method"], call.get("params", []))
    except RpcError as error:
        return _error(identity, error.code, error.message, error.data)
    except Exception as error:  # a server answers, whatever breaks
        return _error(identity, INTERNAL_ERROR, f"{type(error).__name__}: {error}")
    return {"jsonrpc": "2.0", "id": identity, "result": result}


def _error(identity: Any, code: int, message: str, data: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": identity, "error": error}


async def serve(
    host: str,
    port: int,
    private_keys: Sequence[str],
    until_stdin_closes: bool,
    *,
    listening: Callable[[str], None] = print,
) -> None:
    """Runs a new chain whose accounts are those of `private_keys`, until it is cancelled.

    Args:
        host: loopback, since anyone who reaches it may know the keys.
        until_stdin_closes: ends with the process at the other end of stdin.
        listening: is told the address, once it answers.
    """
    node = DevNode([Account.from_key(key).address for key in private_keys])
    runner = web.AppRunner(application(node), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    listening(f"http://{host}:{port}")
    try:
        if until_stdin_closes:
            await asyncio.to_thread(sys.stdin.buffer.read)
        else:
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()
