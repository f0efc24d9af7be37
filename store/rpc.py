"""A Kubo node's RPC, as far as a store needs it: POST requests, answers as JSON, lines of JSON or bytes.

https://docs.ipfs.tech/reference/kubo/rpc/
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlsplit

import requests
import urllib3

from store.errors import StorageFull, StoreUnavailable

_PIECE_BYTES = 256 * 1024
_MAX_ERROR_BYTES = 64 * 1024
# Go's own words for ENOSPC and EDQUOT.
_FULL = ("no space left on device", "disk quota exceeded")


class Refused(StoreUnavailable):
    """The node's word for why it did not do what it was asked. `str()` is its message."""


class Rpc:
    """Calls to one node.

    Args:
        url: http(s)://host:port of the node's RPC.
        timeout_seconds: how long a node may look for bytes that it does not have, and stay silent at all.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._base = url.rstrip("/") + "/api/v0/"
        # Without what could be a password.
        self._shown = urlsplit(url).netloc.rpartition("@")[2]
        self._timeout_seconds = timeout_seconds
        self._session = requests.Session()
        # A node is asked directly, whatever the environment says about proxies.
        self._session.trust_env = False

    def ask(self, command: str, *arguments: str, **options: str) -> dict[str, Any]:
        """The one JSON answer; nothing in it is checked."""
        lines = list(self.lines(command, *arguments, **options))
        return lines[-1] if lines else {}

    def lines(self, command: str, *arguments: str, **options: str) -> Iterator[dict[str, Any]]:
        """The answer's lines of JSON, of which each is an object.

        Raises:
            Refused, StorageFull, StoreUnavailable.
        """
        with self._post(command, arguments, options) as response:
            yield from self._lines(command, response)

    def read(self, command: str, *arguments: str, **options: str) -> Iterator[bytes]:
        """The answer's bytes, in pieces; StoreUnavailable where the node breaks off."""
        with self._post(command, arguments, options) as response:
            with self._translated(command):
                yield from response.iter_content(_PIECE_BYTES)
            _require_whole(command, response)

    def send(self, command: str, file: IO[bytes], **options: str) -> dict[str, Any]:
        """Sends a file as it is read, from its beginning; the last line of JSON that comes back."""
        boundary = secrets.token_hex(16)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        with self._post(command, (), options, data=_multipart(file, boundary), headers=headers) as response:
            lines = list(self._lines(command, response))
        return lines[-1] if lines else {}

    def _lines(self, command: str, response: requests.Response) -> Iterator[dict[str, Any]]:
        with self._translated(command):
            for line in response.iter_lines():
                if line:
                    yield _line(command, line)
        _require_whole(command, response)

    @contextmanager
    def _translated(self, command: str) -> Iterator[None]:
        """Turns what happens to a connection into StoreUnavailable."""
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise StoreUnavailable(
                f"{command}: the IPFS node at {self._shown} does not answer ({type(error).__name__}): start it (ipfs "
                "daemon), or name another one"
            ) from error

    def _post(
        self, command: str, arguments: tuple[str, ...], options: dict[str, str], **body: Any
    ) -> requests.Response:
        params: dict[str, Any] = {"arg": list(arguments)}
        params |= {name.replace("_", "-"): value for name, value in options.items()}
        params["timeout"] = f"{self._timeout_seconds}s"
        with self._translated(command):
            response = self._session.post(
                self._base + command, params=params, timeout=self._timeout_seconds + 5, stream=True, **body
            )
        if response.status_code != requests.codes.ok:
            with response, self._translated(command):
                raise _refusal(command, response)
        return response


def _line(command: str, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise StoreUnavailable(f"{command}: the answer is no JSON: is this the RPC of an IPFS node?") from None
    if not isinstance(value, dict):
        raise StoreUnavailable(f"{command}: the answer is no JSON object: is this the RPC of an IPFS node?")
    return value


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
