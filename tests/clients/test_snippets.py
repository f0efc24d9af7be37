"""The documentation's programs, word for word, in processes of their own, on a market with real proofs."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eth_account import Account

from circuits.prover import Prover
from clients.parameters import Vector
from clients.service import AggregatorClient
from clients.trainer import AsyncTrainer
from contracts.bindings import Chain, Market, RoundState, deploy
from contracts.bindings.devchain import anvil_chain
from process.keyfile import create_key_file
from tests.aggregator.test_process import free_port, started

ROOT = Path(__file__).parents[2]
SNIPPETS = ROOT / "docs" / "snippets"
TRAINERS = 5
"""As many as the owner's defaults ask for."""

# As a trainer without PyTorch would write it: importing torch fails in its process.
NUMPY = """
import sys
sys.modules["torch"] = None
from clients import Trainer

with Trainer.connect("merit.toml", task=1) as trainer:
    for round in trainer.rounds():
        if not round.submit(0.9 * round.parameters):
            print("too late:", round.missed)
    print("paid:", trainer.withdraw(), "wei")
"""


def blocks(document: Path) -> list[str]:
    """The Python programs of a document."""
    return re.findall(r"^```python\n(.*?)^```$", document.read_text(), re.M | re.S)


def test_the_tutorial_shows_exactly_these_programs() -> None:
    shown = blocks(ROOT / "docs" / "train-your-model.md")
    for name in ("trainer.py", "owner.py"):
        assert (SNIPPETS / name).read_text() in shown


def test_the_readme_shows_exactly_this_program() -> None:
    """A program there that takes part is the one that runs below."""
    shown = [block for block in blocks(ROOT / "README.md") if "import Trainer" in block]
    assert shown == [(SNIPPETS / "trainer.py").read_text()]


def test_taking_part_is_less_than_ten_lines() -> None:
    program = (SNIPPETS / "trainer.py").read_text()
    assert 0 < len([line for line in program.splitlines() if "rainer" in line or "round" in line]) < 10


async def run(program: str, directory: Path) -> str:
    """A program's output; it runs in a directory with its own merit.toml."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), cwd=directory, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()[-2000:]
    return output.decode()


def home(at: Path, key: str, settings: dict[str, dict[str, Any]]) -> Path:
    """Where a party keeps its key and its merit.toml."""
    at.mkdir()
    create_key_file(at / "party.key", key)
    sections = settings | {"client": settings["client"] | {"key_file": "party.key", "directory": str(at / "data")}}
    lines = []
    for name, fields in sections.items():
        lines += [f"[{name}]", *(f"{field} = {json.dumps(value)}" for field, value in fields.items())]
    (at / "merit.toml").write_text("\n".join(lines))
    return at


@pytest.mark.slow
async def test_a_market_of_the_documentations_programs(
    prover: Prover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's program, the trainer's, one that has no torch, and enough others for a quorum."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    port = free_port()
    with anvil_chain() as local:
        chain, accounts = Chain(local.rpc_url), [Account.from_key(key) for key in local.private_keys]
        deployment = deploy(chain, accounts[0])
        market = Market(chain, deployment.market)
        create_key_file(tmp_path / "aggregator.key", local.private_keys[1])
        settings: dict[str, dict[str, Any]] = {
            "chain": {"rpc_url": local.rpc_url, "market": deployment.market},
            "client": {
                "aggregator_target": f"127.0.0.1:{port}",
                "aggregator": accounts[1].address,
                "verifier": deployment.verifier,
            },
        }
        service = tmp_path / "aggregator.json"
        serving = {"key_file": str(tmp_path / "aggregator.key"), "data_directory": str(tmp_path / "data"), "port": port}
        service.write_text(
            json.dumps({"chain": settings["chain"], "aggregator": serving | {"open_when_joined": TRAINERS}})
        )
        keys = local.private_keys
        owner, first, second = (home(tmp_path / f"home-{i}", keys[i], settings) for i in (0, 2, 3))

        async def other(index: int) -> int:
            def train(parameters: Vector, *_: object) -> Vector:
                return 0.9 * parameters

            async with AggregatorClient(f"127.0.0.1:{port}") as client:
                trainer = AsyncTrainer(
                    market=market, task_id=1, aggregator=client, account=accounts[index], prover=prover,
                    directory=tmp_path / f"other-{index}", poll_seconds=0.5,
                )  # fmt: skip
                return await trainer.run(train)

        async with started(service) as process, asyncio.TaskGroup() as group:
            owning = group.create_task(run((SNIPPETS / "owner.py").read_text(), owner))
            await process.until("task.accepted")
            programs = [((SNIPPETS / "trainer.py").read_text(), first), (NUMPY, second)]
            training = [group.create_task(run(program, at)) for program, at in programs]
            others = [group.create_task(other(index)) for index in range(4, 2 + TRAINERS)]
            await process.until("task.finished")
            for task in (owning, *training, *others):
                await task

        rounds = [market.round(1, number) for number in range(3)]
        assert all(view.state == RoundState.SETTLED for view in rounds)
        assert all(len(view.trainers) == TRAINERS for view in rounds)
        paid = [int(re.findall(r"paid: (\d+) wei", task.result())[0]) for task in training]
        taken_back = int(re.findall(r"taken back: (\d+) wei", owning.result())[0])
        for index, amount_wei in zip((2, 3), paid, strict=True):
            slots = [view.paid_wei[view.trainers.index(accounts[index].address)] for view in rounds]
            assert amount_wei == sum(slots)
        assert training[0].result().count("trained in round") == 3
        assert "too late" not in training[1].result()
        assert sum(paid) + sum(task.result() for task in others) + taken_back == 3 * 10**18
        assert np.count_nonzero([*paid, *(task.result() for task in others)]) >= TRAINERS - 1
