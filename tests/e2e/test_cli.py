"""A market by hand, as strangers run it: every party is a `merit` command with a keystore and one merit.toml."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account import Account

from circuits.prover import Prover
from contracts.bindings import Chain
from contracts.bindings.devchain import LocalChain, anvil_chain
from process.keyfile import create_keystore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TRAINERS = 3
PASSWORD = "correct horse battery"
ETHER_WEI = 10**18

SCRIPT = """
import torch

torch.manual_seed(0)
inputs = torch.randn(60, 4)
labels = (inputs[:, 0] > 0).long()


def build():
    model = torch.nn.Linear(4, 2)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    return model


def train(model, round, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate or 0.5)
    for _ in range(5):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
"""

TASK = """
reward_per_round_wei = "900000000000000000"
bond_wei = "1000000000000000000"
rounds = 2
quorum = 3

[statement]
slots = 3
outlier = "none"
contribution = "equal"
rule_params = {}

[genesis]
script = "user.py"
"""


class Merit:
    """Runs `merit` in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        path = os.pathsep.join(str(Path(part).resolve()) for part in sys.path if part)
        self._environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "140"}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "clients", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> Any:
        """What a command prints as JSON."""
        process = self.start(*arguments, "--json")
        out, errors = process.communicate(timeout=600)
        assert process.returncode == code, errors[-3000:]
        assert PASSWORD not in out + errors
        return json.loads(out)


@pytest.fixture
def local() -> Iterator[LocalChain]:
    with anvil_chain() as chain:
        yield chain


def until(process: "subprocess.Popen[str]", event: str) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    raise AssertionError(f"ended before {event}: {process.communicate()[1][-2000:]}")


def test_a_market_by_hand(local: LocalChain, prover: Prover, tmp_path: Path) -> None:
    assert prover.srs(10)  # its strings are there before the parties ask for them
    chain, funder = Chain(local.rpc_url), Account.from_key(local.private_keys[0])
    merit = Merit(tmp_path)
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "user.py").write_text(SCRIPT)
    (tmp_path / "task.toml").write_text(TASK)

    made = merit.run("keys", "new", "owner.json", "--password-file", "password")
    assert merit.run("keys", "show", "owner.json", "--password-file", "password") == made
    addresses = {"owner": made["address"]}
    for name in ("aggregator", *(f"trainer-{i}" for i in range(TRAINERS))):
        addresses[name] = create_keystore(tmp_path / f"{name}.json", PASSWORD, scrypt_n=2).address
    for address in addresses.values():
        chain.transfer(funder, address, 10 * ETHER_WEI)
    paid_by = ("--key-file", "owner.json", "--password-file", "password")
    deployed = merit.run("deploy", "--rpc", local.rpc_url, *paid_by)

    configuration = f"""
[chain]
rpc_url = "{local.rpc_url}"
market = "{deployed["market"]}"

[aggregator]
key_file = "aggregator.json"
password_file = "password"
data_directory = "aggregator"
metrics_port = 0
open_when_joined = {TRAINERS}

[client]
aggregator_target = "127.0.0.1:1"
password_file = "password"
directory = "data"
aggregator = "{addresses["aggregator"]}"
verifier = "{deployed["verifier"]}"
"""
    (tmp_path / "merit.toml").write_text(configuration)
    down = merit.run("status", code=5)
    assert not down["reachable"]
    assert down["chain"]["chain_id"] == chain.chain_id

    service = merit.start("serve")
    trainers = []
    try:
        scrape = f"http://127.0.0.1:{until(service, 'metrics.listening')['port']}/metrics"
        port = until(service, "service.listening")["port"]
        (tmp_path / "merit.toml").write_text(configuration.replace("127.0.0.1:1", f"127.0.0.1:{port}"))
        created = merit.run("task", "create", "task.toml", "--key-file", "owner.json")
        assert created["reward_wei"] == str(18 * ETHER_WEI // 10)
        task = str(created["task_id"])
        shown = merit.run("task", "show", task)
        assert shown["state"] == "funded"
        assert [check["ok"] for check in shown["checks"]] == [True]
        assert merit.run("task", "close", task, "--key-file", "trainer-0.json", code=3)["error"]["field"] == "key_file"

        status = merit.run("status")
        assert status["reachable"]
        assert set(status["services"].values()) == {"SERVING"}
        (entry,) = status["tasks"]
        assert (entry["task_id"], entry["status"], entry["has_genesis"]) == (created["task_id"], "funded", True)

        trainers = [
            merit.start("train", "--task", task, "--script", "user.py", "--key-file", f"trainer-{i}.json")
            for i in range(TRAINERS)
        ]
        for trainer in trainers:
            out, errors = trainer.communicate(timeout=600)
            assert trainer.returncode == 0, errors[-3000:]
            last = json.loads(out.splitlines()[-1])
            assert (last["event"], last["paid_wei"]) == ("trainer.withdrew", str(6 * ETHER_WEI // 10))

        shown = merit.run("task", "show", task, "--no-checks")
        assert shown["state"] == "closed"
        assert [round["state"] for round in shown["rounds"]] == ["settled", "settled"]
        assert all(entry["accepted"] for round in shown["rounds"] for entry in round["entries"])
        owed = {credit["role"]: credit for credit in shown["credits"] if credit["amount_wei"] != "0"}
        assert owed.keys() == {"aggregator"}
        aggregator = addresses["aggregator"]
        paid = merit.run("withdraw", "--task", task, "--key-file", "owner.json", "--account", aggregator)
        assert paid["amount_wei"] == str(ETHER_WEI)
        nothing = merit.run("withdraw", "--task", task, "--key-file", "owner.json", code=1)
        assert nothing["error"]["kind"] == "NothingToWithdraw"
        assert 'merit_updates_total{outcome="accepted"} 6.0' in requests.get(scrape, timeout=10).text
    finally:
        for process in (*trainers, service):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        rest = service.communicate(timeout=60)[0]
        for process in trainers:
            process.communicate(timeout=60)
    assert service.returncode == 0
    assert json.loads(rest.splitlines()[-1])["event"] == "service.stopped"
