"""The aggregator as a process, with real proofs: killed in the middle of one, started again, stopped in order."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from circuits.prover import Prover
from clients.config import OwnerConfig, TrainerConfig
from clients.run import run_owner, run_trainer
from clients.service import AggregatorClient
from contracts.bindings import Chain, Market, deploy
from contracts.bindings.devchain import anvil_chain
from process.keyfile import create_key_file

pytestmark = pytest.mark.slow

TRAINERS = 8


class SharedProver:
    """The session's prover, which its users do not close."""

    def __init__(self, prover: Prover) -> None:
        self._prover = prover

    def __enter__(self) -> Prover:
        return self._prover

    def __exit__(self, *_: object) -> None: ...


class Process:
    """`python -m aggregator`, its events read as they come."""

    def __init__(self, config: Path) -> None:
        command = [sys.executable, "-m", "aggregator", "--config", str(config)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.events: list[dict[str, Any]] = []

    async def until(self, event: str) -> dict[str, Any]:
        """Reads until the named event."""
        assert self._process.stdout is not None
        while line := await asyncio.to_thread(self._process.stdout.readline):
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"ended before {event}: {self._process.communicate()[1][-2000:]}")

    async def end(self, number: signal.Signals) -> int:
        """Sends a signal; returns how the process ended."""
        self._process.send_signal(number)
        rest, _ = await asyncio.to_thread(self._process.communicate)
        self.events += [json.loads(line) for line in rest.splitlines()]
        return self._process.returncode

    def discard(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@asynccontextmanager
async def started(config: Path) -> AsyncIterator[Process]:
    process = Process(config)
    try:
        await process.until("service.listening")
        yield process
    finally:
        process.discard()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def chain_url_and_keys() -> Iterator[tuple[str, tuple[str, ...]]]:
    with anvil_chain() as local:
        yield local.rpc_url, local.private_keys


async def test_a_killed_aggregator_goes_on_where_it_was(
    chain_url_and_keys: tuple[str, tuple[str, ...]],
    prover: Prover,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rpc_url, keys = chain_url_and_keys
    monkeypatch.setattr("clients.connection.Prover", lambda: SharedProver(prover))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    chain, accounts = Chain(rpc_url), [Account.from_key(key) for key in keys]
    deployment = deploy(chain, accounts[0])
    for index in range(TRAINERS + 2):
        create_key_file(tmp_path / f"{index}.key", keys[index])
    port = free_port()
    shared = {"rpc_url": rpc_url, "market": deployment.market, "aggregator_target": f"127.0.0.1:{port}"}
    config = tmp_path / "aggregator.json"
    config.write_text(
        json.dumps(
            {
                "chain": {"rpc_url": rpc_url, "market": deployment.market},
                "aggregator": {
                    "key_file": str(tmp_path / "1.key"),
                    "data_directory": str(tmp_path / "data"),
                    "port": port,
                    "open_when_joined": TRAINERS,
                },
            }
        )
    )
    offer = OwnerConfig(
        **shared,  # type: ignore[arg-type]
        key_file=tmp_path / "0.key",
        directory=tmp_path / "owner",
        aggregator=accounts[1].address,
        verifier=deployment.verifier,
        reward_per_round_wei=10**18,
        bond_wei=10**18,
        rounds=1,
        quorum=TRAINERS,
    )

    async with started(config) as process, asyncio.TaskGroup() as parties:
        owner = parties.create_task(run_owner(offer))
        task_id = (await process.until("task.accepted"))["task"]
        paid = [
            parties.create_task(
                run_trainer(
                    TrainerConfig(
                        **shared,  # type: ignore[arg-type]
                        key_file=tmp_path / f"{index + 2}.key",
                        directory=tmp_path / f"trainer-{index}",
                        task_id=task_id,
                        shard=index,
                    )
                )
            )
            for index in range(TRAINERS)
        ]
        await process.until("round.linear_proven")  # the rule's proof takes seconds
        assert await process.end(signal.SIGKILL) == -signal.SIGKILL
        assert process.events[-1]["event"] == "round.linear_proven"

        async with started(config) as again:
            await again.until("round.published")
            assert await owner == task_id
            amounts_wei = [await wei for wei in paid]
            assert sum(map(bool, amounts_wei)) == TRAINERS - 2  # the rule keeps n - f
            assert 0 <= 10**18 - sum(amounts_wei) < TRAINERS
            async with AggregatorClient(f"127.0.0.1:{port}") as client:
                slots = (await client.round(task_id, 0)).slots
            assert len(slots) == TRAINERS
            assert await again.end(signal.SIGTERM) == 0
            assert again.events[-1]["event"] == "service.stopped"

    names = [event.name for event in Market(chain, deployment.market).events(task_id)]
    assert names.count("RoundCommitted") == names.count("RoundSettled") == 1
    written = json.dumps(process.events + again.events)
    assert all(key.removeprefix("0x") not in written for key in keys)


@pytest.mark.parametrize(
    "content", ['{"chain": {"rpc_url": 1}}', "{", '{"aggregator": {"key_file": "missing"}}', '{"agregator": {}}']
)
async def test_a_process_that_cannot_start_says_why(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    (tmp_path / "a.json").write_text(content)
    command = [sys.executable, "-m", "aggregator", "--config", str(tmp_path / "a.json")]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("aggregator: ")
    assert "Traceback" not in done.stderr
