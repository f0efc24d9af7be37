"""Local chains as subprocesses: the embedded one, and anvil. Also the embedded one's HTTP server:

python -m contracts.bindings.devchain --port 8545
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from eth_account.hdaccount.deterministic import HDPath
from eth_account.hdaccount.mnemonic import Mnemonic

from contracts.bindings.artifacts import ROOT
from contracts.bindings.chain import Chain
from contracts.bindings.errors import ChainUnavailable, LocalChainFailed

ACCOUNTS = 24
LOOPBACK = "127.0.0.1"

# Known to everyone, and so fit for chains without value only.
_MNEMONIC = "test test test test test test test test test test test junk"
_HD_PATH = "m/44'/60'/0'/0"
_START_TIMEOUT_SECONDS = 60


class LocalChain(NamedTuple):
    """Attributes:
    rpc_url: where it answers. private_keys: of its funded accounts, 0x-prefixed hex; publicly known.
    """

    rpc_url: str
    private_keys: tuple[str, ...]


@cache
def funded_keys() -> tuple[str, ...]:
    """Private keys of the accounts that both local chains fund: the usual test mnemonic's."""
    seed = Mnemonic.to_seed(_MNEMONIC)
    return tuple("0x" + HDPath(f"{_HD_PATH}/{i}").derive(seed).hex() for i in range(ACCOUNTS))


@contextmanager
def embedded_chain() -> Iterator[LocalChain]:
    """py-evm in a process of its own, for as long as the context lasts.

    Raises:
        LocalChainFailed: it did not come up.
    """
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "contracts.bindings.devchain",
        "--port",
        str(port),
        "--until-stdin-closes",
    ]
    with _running(command, port, "the embedded chain") as local:
        yield local


@contextmanager
def anvil_chain(*options: str) -> Iterator[LocalChain]:
    """anvil from the npm package, for as long as the context lasts.

    Args:
        options: further ones of its command line.
    Raises:
        LocalChainFailed: it is not installed, or did not come up.
    """
    # Not through the package's launcher, which loses exit codes.
    anvil = next(ROOT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"), None)
    if anvil is None:
        raise LocalChainFailed("anvil is not installed; run `make setup`")
    port = _free_port()
    command = [
        *(sys.executable, "-I", "-S", str(Path(__file__).with_name("leash.py"))),
        *(str(anvil), "--host", LOOPBACK, "--port", str(port), "--accounts", str(ACCOUNTS)),
        *("--mnemonic", _MNEMONIC, "--balance", "1000000", "--silent", *options),
        # As many states as it keeps in memory anyway, and none on the disk, where they outlive it: gigabytes a day.
        *("--prune-history", "500"),
    ]
    with _running(command, port, "anvil") as local:
        yield local


def advance_time(chain: Chain, seconds: int) -> None:
    """Moves a local chain's clock forward and mines a block.

    Raises:
        ValueError: the chain is not a local one.
    """
    if not chain.is_local:
        raise ValueError(f"the clock of chain {chain.chain_id} is not ours")
    for method, params in (("evm_increaseTime", [seconds]), ("evm_mine", [])):
        chain.w3.manager.request_blocking(method, params)  # type: ignore[arg-type]


@contextmanager
def _running(command: Sequence[str], port: int, name: str) -> Iterator[LocalChain]:
    repository = str(ROOT.parent)
    inherited = os.environ.get("PYTHONPATH")
    path = repository if not inherited else os.pathsep.join((repository, inherited))
    process = subprocess.Popen(  # noqa: S603 - both commands are built in this module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        cwd=repository,
    )
    try:
        rpc_url = f"http://{LOOPBACK}:{port}"
        _wait_until_up(process, rpc_url, name)
        yield LocalChain(rpc_url, funded_keys())
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()


def _wait_until_up(process: subprocess.Popen[bytes], rpc_url: str, name: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LocalChainFailed(f"{name} ended with code {process.returncode}")
        try:
            Chain(rpc_url, timeout_seconds=10)
            return
        except ChainUnavailable:
            continue
    raise LocalChainFailed(f"{name} did not answer within {_START_TIMEOUT_SECONDS} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Runs the embedded chain in the foreground."""
    parser = argparse.ArgumentParser(description="A local chain for demos and tests, on the loopback interface.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the parent process")
    arguments = parser.parse_args()
    # Only this process needs py-evm, which takes a second to load.
    from contracts.bindings.devserver import serve  # noqa: PLC0415

    with suppress(KeyboardInterrupt):
        asyncio.run(serve(LOOPBACK, arguments.port, funded_keys(), arguments.until_stdin_closes))


if __name__ == "__main__":
    main()
