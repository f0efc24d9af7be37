"""A Kubo node's RPC, as far as a store needs it: POST requests, answers as JSON, lines of JSON or bytes.

https://docs.ipfs.tech/reference/kubo/rpc/
"""

import json
import secrets
from collections.abc import Iterator
from typing import IO, Any

import requests

from store.errors import StorageFull, StoreUnavailable

_PIECE_BYTES = 256 * 1024
_MAX_ERROR_BYTES = 64 * 1024
# Go's own words for ENOSPC and EDQUOT.
_FULL = ("no space left on device", "disk quota exceeded")


class Refused(Exception):
    """The node's word for why it did not do what it was asked. `str()` is its message."""


class Rpc:
    """Calls to one node.

    Args:
        url: http(s)://host:port of the node's RPC.
        timeout_seconds: how long a node may look for bytes that it does not have, and stay silent at all.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._base = url.rstrip("/") + "/api/v0/"
        self._timeout_seconds = timeout_seconds
        self._session = requests.Session()
        # A node is asked directly, whatever the environment says about proxies.
        self._session.trust_env = False

    def ask(self, command: str, *arguments: str, **options: str) -> Any:
        """The one JSON answer."""
        lines = list(self.lines(command, *arguments, **options))
        return lines[-1] if lines else {}

    def lines(self, command: str, *arguments: str, **options: str) -> Iterator[Any]:
        """The answer's lines of JSON.

        Raises:
            Refused, StorageFull, StoreUnavailable.
        """
        with self._post(command, arguments, options) as response:
            yield from _lines(command, response)

    def read(self, command: str, *arguments: str, **options: str) -> Iterator[bytes]:
        """The answer's bytes, in pieces; StoreUnavailable where the node breaks off."""
        with self._post(command, arguments, options) as response:
            with _translated(command):
                yield from response.iter_content(_PIECE_BYTES)
            _require_whole(command, response)

    def send(self, command: str, file: IO[bytes], **options: str) -> Any:
        """Sends a file as it is read, from its beginning; the last line of JSON that comes back."""
        boundary = secrets.token_hex(16)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        with self._post(command, (), options, data=_multipart(file, boundary), headers=headers) as response:
            return list(_lines(command, response))[-1]

    def _post(
        self, command: str, arguments: tuple[str, ...], options: dict[str, str], **body: Any
    ) -> requests.Response:
        params: dict[str, Any] = {"arg": list(arguments)}
        params |= {name.replace("_", "-"): value for name, value in options.items()}
        params["timeout"] = f"{self._timeout_seconds}s"
        with _translated(command):
            response = self._session.post(
                self._base + command, params=params, timeout=self._timeout_seconds + 5, stream=True, **body
            )
        if response.status_code != requests.codes.ok:
            with response:
                raise _refusal(command, response)
        return response


class _translated:  # noqa: N801  (reads as a statement)
    """Turns what happens to a connection into StoreUnavailable."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, requests.RequestException):
            raise StoreUnavailable(f"{self._command}: the node does not answer ({type(error).__name__})") from error


def _lines(command: str, response: requests.Response) -> Iterator[Any]:
    with _translated(command):
        for line in response.iter_lines():
            if not line:
                continue
            try:
                yield json.loads(line)
            except ValueError:
                raise StoreUnavailable(f"{command}: the answer is no JSON") from None
    _require_whole(command, response)


def _require_whole(command: str, response: requests.Response) -> None:
    """An error that comes after the first byte is in a trailer; where that is lost, the CID does not fit."""
    if message := response.headers.get("X-Stream-Error"):
        raise _by_message(command, message)


def _refusal(command: str, response: requests.Response) -> Exception:
    text = response.raw.read(_MAX_ERROR_BYTES, decode_content=True).decode(errors="replace")
    try:
        message = str(json.loads(text)["Message"])
    except (ValueError, KeyError, TypeError):
        return StoreUnavailable(f"{command}: status {response.status_code}: {text[:200]}")
    return _by_message(command, message)


def _by_message(command: str, message: str) -> Exception:
    if any(words in message for words in _FULL):
        return StorageFull(f"storage: {message}")
    return Refused(message)


def _multipart(file: IO[bytes], boundary: str) -> Iterator[bytes]:
    """One file as the only part of a form. `requests` would take all of it into memory."""
    disposition = 'Content-Disposition: form-data; name="file"; filename="object"'
    yield f"--{boundary}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        yield piece
    yield f"\r\n--{boundary}--\r\n".encode()
