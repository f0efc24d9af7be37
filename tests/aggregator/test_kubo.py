"""An aggregator that keeps its objects in an IPFS node: a whole task, and what happens while the node is away."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aggregator.jobs.bench import Inputs
from aggregator.records import Step
from clients.cli import app
from clients.service import AggregatorClient
from process.errors import ConfigurationError
from process.exits import Exit
from protocol import refusals
from protocol.holders import holder_of
from store.cid import cid_of
from store.devnode import DevKubo, dev_kubo
from store.kubo import KuboStore
from store.local import ContentStore
from tests.stage import TRAINERS, Stage

pytestmark = pytest.mark.slow


@pytest.fixture
def node() -> Iterator[DevKubo]:
    with dev_kubo() as running:
        yield running


async def verified(stage: Stage, task_id: int, place: str, *peers: str) -> list[dict[str, object]]:
    """What `merit store verify` finds of a task in a store, with the aggregator's key."""
    command = [
        *("store", "verify", str(task_id), "--rpc", stage.rpc_url, "--market", stage.market.address, "--json"),
        *("--store", place, "--key-file", str(stage.key_file)),
        *(word for peer in peers for word in ("--peer", peer)),
    ]
    done = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert done.exit_code == Exit.OK, done.output
    found: list[dict[str, object]] = json.loads(done.stdout)["objects"]
    return found


async def test_a_task_whose_node_restarts_in_the_middle_of_its_rounds(
    stage: Stage, node: DevKubo, tmp_path: Path
) -> None:
    async with stage.running(store_url=node.url) as (aggregator, client):
        task_id = await stage.open_task(client)
        first, *rest = [
            stage.update(task_id, 0, trainer, stage.draw(index, outlier=index == TRAINERS - 1))
            for index, trainer in enumerate(stage.trainers[:TRAINERS])
        ]
        await client.upload_update(first.header, first.data, first.signer)

        node.stop(kill=True)
        async with AggregatorClient(f"127.0.0.1:{aggregator.port}", patience_seconds=3) as hasty:
            with pytest.raises(refusals.StoreDown) as caught:
                await hasty.upload_update(rest[0].header, rest[0].data, rest[0].signer)
            with pytest.raises(refusals.StoreDown):
                await hasty.download_model(task_id, 0, limit_bytes=1 << 20)
        assert caught.value.retry_seconds
        node.start()

        for update in rest[:-1]:
            await client.upload_update(update.header, update.data, update.signer)
        # The last one comes while the node is away, as do the proofs: both wait for it.
        node.stop()
        sending = asyncio.create_task(client.upload_update(rest[-1].header, rest[-1].data, rest[-1].signer))
        await asyncio.sleep(1)
        assert not sending.done()
        await asyncio.to_thread(node.start)
        await sending
        await stage.reached(client, task_id, 0, Step.COMMITTED)
        node.stop(kill=True)
        await asyncio.to_thread(node.start)

        await stage.reached(client, task_id, 1, Step.COLLECTING)
        await stage.send(client, task_id, 1)
        await stage.reached(client, task_id, 1, Step.PUBLISHED)

    kept = KuboStore(node.url).held(holder_of(task_id))
    assert len(kept) == 1 + 2 * (TRAINERS + 5)  # of a round: updates, two proofs, sum, model, manifest
    assert not (stage.directory / "aggregator" / "objects").exists()
    found = await verified(stage, task_id, node.url)
    assert {(each["found"], each["opened"], each["repaired"]) for each in found} == {("whole", True, False)}
    copied = await verified(stage, task_id, str(tmp_path / "copy"), node.url)
    assert all(each["repaired"] and each["opened"] for each in copied)


async def test_a_node_that_hangs_keeps_nothing_else_waiting(stage: Stage, node: DevKubo) -> None:
    async with stage.running(store_url=node.url) as (_, client):
        task_id = await stage.open_task(client)
        assert node.process is not None
        node.process.send_signal(signal.SIGSTOP)
        try:
            loading = asyncio.create_task(client.download_model(task_id, 0, limit_bytes=1 << 20))
            async with asyncio.timeout(30):
                for _ in range(20):
                    assert (await client.task(task_id)).task_id == task_id
            assert not loading.done()
        finally:
            node.process.send_signal(signal.SIGCONT)
        assert await loading == stage.genesis_data


async def test_workers_of_this_machine_read_from_the_node(node: DevKubo, tmp_path: Path) -> None:
    cid = KuboStore(node.url, spool_directory=tmp_path).put(b"object")
    assert Inputs(node.url).missing([cid, cid_of(b"none")]) == [cid_of(b"none")]
    assert Inputs("").missing([cid]) == [cid]


async def test_drafts_of_a_killed_process_go_at_the_next_start(stage: Stage, node: DevKubo) -> None:
    spool = stage.directory / "aggregator" / "spool"
    spool.mkdir(parents=True)
    (spool / "draft-left").touch()
    aggregator = await asyncio.to_thread(stage.aggregator, store_url=node.url)
    aggregator.close()
    assert not list(spool.iterdir())


async def test_a_node_that_is_not_there_is_said_at_the_start(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"store_url: .*127\.0\.0\.1:9 .*ipfs daemon"):
        await asyncio.to_thread(stage.aggregator, store_url="http://user:secret@127.0.0.1:9")
    config = tmp_path / "merit.toml"
    config.write_text(
        f'''[chain]
rpc_url = "{stage.rpc_url}"
market = "{stage.market.address}"
[aggregator]
data_directory = "{tmp_path / "data"}"
key_file = "{stage.key_file}"
'''
    )
    environment = {
        **os.environ,
        "MERIT_AGGREGATOR__STORE_URL": "http://user:secret@127.0.0.1:9",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-m", "clients", "serve", "--config", str(config)]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == Exit.CONFIGURATION
    assert "store_url" in done.stderr
    assert "secret" not in done.stderr + done.stdout
    shown = await asyncio.to_thread(
        CliRunner().invoke, app, ["config", "aggregator", "--config", str(config), "--json"], env=environment
    )
    rows = {row["name"]: row for row in json.loads(shown.stdout)["settings"]}
    assert rows["aggregator.store_url"]["source"] == "MERIT_AGGREGATOR__STORE_URL"
    assert "secret" not in shown.stdout


@pytest.mark.parametrize("url", ["/ip4/127.0.0.1/tcp/5001", "ipfs.local:5001", "http://", "http://a:1/?key=x"])
def test_other_addresses_are_refused(url: str, stage: Stage) -> None:
    with pytest.raises(ValueError, match="store_url"):
        stage.config(store_url=url)


def test_the_embedded_store_is_the_default(stage: Stage) -> None:
    aggregator = stage.aggregator()
    try:
        assert isinstance(aggregator.tools.store, ContentStore)
        assert aggregator.tools.store.directory == stage.directory / "aggregator" / "objects"
    finally:
        aggregator.close()
