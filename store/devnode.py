"""Kubo nodes as subprocesses, for tests and benchmarks: random ports on loopback, a directory that goes with them."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from store.errors import StoreUnavailable
from store.rpc import Rpc

IPFS = Path(__file__).resolve().parents[1] / ".kubo" / "ipfs"
"""Built by `make .kubo/ipfs`, which the tests' targets do."""
_START_SECONDS = 120
_CONFIG = {
    "Addresses.API": "/ip4/127.0.0.1/tcp/0",
    "Addresses.Gateway": [],
    "Addresses.Swarm": ["/ip4/127.0.0.1/tcp/0"],
    "AutoConf.Enabled": False,
    "AutoTLS.Enabled": False,
    "Bootstrap": [],
    "DNS.Resolvers": {},
    "Routing.Type": "none",
    "Routing.DelegatedRouters": [],
    "Ipns.DelegatedPublishers": [],
    "Discovery.MDNS.Enabled": False,
    "Swarm.Transports.Network.Relay": False,
    "Swarm.DisableNatPortMap": True,
}


@dataclass
class DevKubo:
    """A node's directory, and while it runs, its process and the address of its RPC."""

    directory: Path
    offline: bool
    process: subprocess.Popen[bytes] | None = None
    url: str = ""

    def start(self) -> None:
        """Starts the daemon, at the address that it had before; StoreUnavailable if it does not come up."""
        if self.url:
            _configure(
                self.directory / "config", {"Addresses.API": f"/ip4/127.0.0.1/tcp/{self.url.rpartition(':')[2]}"}
            )
        (self.directory / "api").unlink(missing_ok=True)
        log = (self.directory / "daemon.log").open("ab")
        command = [str(IPFS), "daemon", *(["--offline"] if self.offline else [])]
        with log:
            self.process = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log)  # noqa: S603
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        self.stop()
        raise StoreUnavailable(f"the node did not come up: {(self.directory / 'daemon.log').read_text()[-2000:]}")

    def stop(self, *, kill: bool = False) -> None:
        """Ends the daemon, cleanly unless `kill`; its directory stays."""
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait()
        self.process = None

    def connect(self, other: "DevKubo") -> None:
        """Makes two running nodes peers."""
        identity = Rpc(other.url, timeout_seconds=10).ask("id")
        address = next(a for a in identity["Addresses"] if a.startswith("/ip4/127.0.0.1/tcp/"))
        Rpc(self.url, timeout_seconds=10).ask("swarm/connect", address)

    def run(self, *arguments: str) -> None:
        """One command of `ipfs` in the node's directory."""
        command = [str(IPFS), *arguments]
        done = subprocess.run(command, env=self._environment(), capture_output=True, check=False)  # noqa: S603
        if done.returncode:
            raise StoreUnavailable(f"ipfs {arguments[0]}: {done.stderr.decode(errors='replace')[-1000:]}")

    def _answers(self) -> bool:
        try:
            address = (self.directory / "api").read_text().strip().split("/")
            self.url = f"http://{address[2]}:{address[4]}"
            Rpc(self.url, timeout_seconds=5).ask("version")
        except (FileNotFoundError, IndexError, StoreUnavailable):
            return False
        return True

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "IPFS_PATH": str(self.directory), "IPFS_TELEMETRY": "off"}


@contextmanager
def dev_kubo(*, offline: bool = True, directory: Path | None = None) -> Iterator[DevKubo]:
    """A fresh node, running for as long as the context lasts; without `offline` it talks to peers that it is told of.

    Raises:
        StoreUnavailable: Kubo is not built, or did not come up.
    """
    if not IPFS.is_file():
        raise StoreUnavailable("Kubo is not built; run `make .kubo/ipfs`")
    with tempfile.TemporaryDirectory(dir=directory, prefix="kubo-") as made:
        node = DevKubo(Path(made), offline)
        node.run("init", "--empty-repo")
        _configure(Path(made) / "config", _CONFIG)
        try:
            node.start()
            yield node
        finally:
            node.stop()


def _configure(path: Path, values: Mapping[str, object]) -> None:
    config = json.loads(path.read_text())
    for name, value in values.items():
        *parents, last = name.split(".")
        section = config
        for parent in parents:
            if section.get(parent) is None:
                section[parent] = {}
            section = section[parent]
        section[last] = value
    path.write_text(json.dumps(config))
