"""A task's objects in a real aggregator's store: found, opened, and made good after every kind of loss."""

import asyncio
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from typer.testing import CliRunner

from aggregator.records import Step
from circuits.bn254 import G1Point
from circuits.commitment import check_opening
from clients.cli import app
from clients.manifests import derived_objects
from clients.service import AggregatorClient
from clients.storage import Checked, TaskObject, objects_of, verify_storage
from process.exits import Exit
from process.keyfile import create_key_file
from protocol.holders import holder_of
from store.cid import cid_of, from_text
from store.devnode import dev_kubo
from store.interface import Store
from store.kubo import KuboStore
from store.local import ContentStore
from store.manifest import decode_manifest
from store.objects import decode_model, encode_model
from store.places import store_at
from store.replicas import Condition, copy
from tests.stage import STATEMENT, TRAINERS, Stage

pytestmark = pytest.mark.slow


@dataclass
class Finished:
    """A task that has ended, its store, and what the chain says of it."""

    stage: Stage
    task_id: int
    store: ContentStore

    def objects(self, *, with_key: bool = False) -> list[TaskObject]:
        account = self.stage.operator if with_key else None
        derived = derived_objects(self.stage.market, self.task_id, self.original)
        return [*objects_of(self.stage.market, self.task_id, account), *derived]

    @property
    def original(self) -> ContentStore:
        """As the aggregator left it."""
        return ContentStore(self.store.directory.parent / "original")

    def verify(self, *peers: Store, store: Store | None = None, with_key: bool = False) -> list[Checked]:
        return list(
            verify_storage(
                self.objects(with_key=with_key), self.stage.srs, store or self.store, holder=holder_of(self.task_id),
                peers=peers,
            )
        )  # fmt: skip

    def path(self, cid: bytes) -> Path:
        return self.store._path(cid)


@pytest.fixture
async def finished(stage: Stage) -> Finished:
    async with stage.running() as (aggregator, client):
        task_id = await stage.open_task(client, rounds=2)
        for number in range(2):
            await stage.reached(client, task_id, number, Step.COLLECTING)
            await stage.send(client, task_id, number)
            await stage.reached(client, task_id, number, Step.PUBLISHED)
        directory = aggregator.tools.store.directory
    shutil.copytree(directory, directory.parent / "original")
    return Finished(stage, task_id, ContentStore(directory, grace_seconds=0))


async def test_everything_is_there_after_a_restart(finished: Finished) -> None:
    """The aggregator has stopped; what it promised to keep is on disk, and opens what the chain holds."""
    found = finished.verify()
    assert len(found) == 1 + 2 * (TRAINERS + 3)
    assert {(each.condition, each.reason) for each in found} == {(Condition.WHOLE, "")}
    beside = ["accepted sum", "manifest"]
    assert [e.what for e in found[-4:]] == [f"round {number}: {what}" for number in (1, 2) for what in beside]
    models = [each for each in found if "model" in each.what]
    assert [each.what for each in models] == ["genesis model", "round 1: model", "round 2: model"]
    assert all(each.opened for each in models)
    assert not any(each.opened for each in found if "update" in each.what)


async def test_nothing_of_a_task_is_collected(finished: Finished) -> None:
    """The aggregator holds all that it puts, from the first model to the last proof."""
    objects = list(finished.store.directory.glob("??/*"))
    assert finished.store.collect() == 0
    assert len(objects) == 1 + 2 * (TRAINERS + 5)
    assert finished.store.held(holder_of(finished.task_id)) == {from_text(path.name) for path in objects}


async def test_a_lost_sum_or_manifest_is_named(finished: Finished) -> None:
    for lost in [each for each in finished.objects() if "sum" in each.what or "manifest" in each.what]:
        kept = finished.path(lost.cid).read_bytes()
        finished.path(lost.cid).unlink()
        assert [each.what for each in finished.verify() if each.reason] == [lost.what]
        finished.path(lost.cid).write_bytes(kept)


async def test_what_follows_from_a_lost_model_is_left_out(finished: Finished) -> None:
    """The model itself is named; from the others nothing follows about its rounds."""
    [model] = [each for each in finished.objects() if each.what == "round 1: model"]
    finished.path(model.cid).unlink()
    assert list(derived_objects(finished.stage.market, finished.task_id, finished.store)) == []
    assert [each.what for each in finished.verify() if each.reason] == ["round 1: model"]


async def test_with_the_aggregators_key_updates_are_opened(finished: Finished) -> None:
    assert all(each.opened and not each.reason for each in finished.verify(with_key=True))


async def test_losses_are_named_and_made_good_from_a_peer(finished: Finished, tmp_path: Path) -> None:
    peer = ContentStore(tmp_path / "peer")
    objects = finished.objects()
    for each in objects:
        copy(each.cid, finished.store, peer, holder="peer")
    missing, damaged = objects[1], next(each for each in objects if each.what == "round 2: model")
    finished.path(missing.cid).unlink()
    finished.path(damaged.cid).write_bytes(b"damaged")
    found = {each.what: each for each in finished.verify()}
    assert found[missing.what].condition is Condition.MISSING
    assert found[damaged.what].condition is Condition.DAMAGED
    assert {each.what for each in found.values() if each.reason} == {missing.what, damaged.what}
    found = {each.what: each for each in finished.verify(peer)}
    assert found[missing.what].repaired
    assert found[damaged.what].repaired
    assert found[damaged.what].opened
    assert not any(each.reason for each in found.values())
    assert all(each.condition is Condition.WHOLE for each in finished.verify())


async def test_a_lost_store_is_rebuilt_from_a_node(finished: Finished, tmp_path: Path) -> None:
    """The aggregator's disk is gone; an IPFS node that was given everything gives it back."""
    with dev_kubo() as node:
        kubo = store_at(node.url, spool_directory=tmp_path)
        assert isinstance(kubo, KuboStore)
        for each in finished.objects():
            copy(each.cid, finished.store, kubo, holder=holder_of(finished.task_id))
        rebuilt = store_at(str(tmp_path / "rebuilt"))
        found = finished.verify(kubo, store=rebuilt)
        assert all(each.repaired and not each.reason for each in found)
    cids = {each.cid for each in finished.objects()}
    assert rebuilt.held(holder_of(finished.task_id)) == cids
    assert all(each.condition is Condition.WHOLE for each in finished.verify(store=rebuilt))


async def test_whole_bytes_that_are_not_what_the_chain_commits_to(finished: Finished) -> None:
    """A CID on chain can be of anything: only opening the commitment tells."""
    objects = finished.objects()
    other = encode_model(finished.stage.genesis)
    forged = [
        replace(objects[0], point=objects[1].point, cid=finished.store.put(other)),
        replace(objects[0], cid=finished.store.put(b"no model")),
        replace(objects[0], cid=b"no cid"),
        replace(objects[0], cid=cid_of(b"nowhere")),
    ]
    found = list(verify_storage(forged, finished.stage.srs, finished.store, holder="task-1"))
    assert "does not open" in found[0].reason
    assert "no such object" in found[1].reason
    assert "CIDv1" in found[2].reason
    assert found[3].reason == "there are no peers"


async def test_the_command_says_what_is_wrong_and_makes_it_good(finished: Finished, tmp_path: Path) -> None:
    stage, peer = finished.stage, ContentStore(tmp_path / "peer")
    objects = finished.objects()
    for each in objects:
        copy(each.cid, finished.store, peer, holder="peer")
    finished.path(objects[2].cid).unlink()
    command = [
        *("store", "verify", str(finished.task_id), "--rpc", stage.rpc_url, "--market", stage.market.address),
        *("--store", str(finished.store.directory), "--json"),
    ]
    runner = CliRunner()
    broken = await asyncio.to_thread(runner.invoke, app, command)
    assert broken.exit_code == Exit.FAILED
    document = json.loads(broken.stdout)
    assert not document["ok"]
    assert [each["object"] for each in document["objects"] if each["reason"]] == [objects[2].what]
    mended = await asyncio.to_thread(
        runner.invoke, app, [*command, "--peer", str(peer.directory), "--key-file", str(stage.key_file)]
    )
    assert mended.exit_code == Exit.OK, mended.stderr
    document = json.loads(mended.stdout)
    assert document["ok"]
    assert [each["object"] for each in document["objects"] if each["repaired"]] == [objects[2].what]
    assert all(each["opened"] for each in document["objects"])
    down = await asyncio.to_thread(runner.invoke, app, [*command, "--store", "http://127.0.0.1:9"])
    assert down.exit_code == Exit.FAILED
    assert json.loads(down.stdout)["error"]["kind"] == "StoreUnavailable"


async def test_a_sealed_last_model_is_opened_with_the_owners_key_alone(stage: Stage, tmp_path: Path) -> None:
    async with stage.running() as (aggregator, client):
        task_id = await stage.open_task(client, rounds=1, rule_name=f"{STATEMENT.rule.name}+sealed")
        await stage.send(client, task_id, 0)
        await stage.reached(client, task_id, 0, Step.PUBLISHED)
        store = aggregator.tools.store
        await wait_until_final(client, task_id)

        def last(account: LocalAccount | None) -> Checked:
            objects = list(objects_of(stage.market, task_id, account))
            return list(verify_storage(objects, stage.srs, store, holder=holder_of(task_id)))[-1]

        assert last(None).what == "round 1: model, sealed"
        assert [(last(who).opened, last(who).reason) for who in (None, stage.operator, stage.owner)] == [
            (False, ""), (False, ""), (True, ""),
        ]  # fmt: skip

        owner_key = tmp_path / "owner.key"
        create_key_file(owner_key, stage.owner.key.hex())
        assert (await fetched(stage, aggregator.port, task_id, owner_key, tmp_path / "model"))["sealed"]
        assert (tmp_path / "model").stat().st_mode & 0o077 == 0
        check_opening(
            decode_model((tmp_path / "model").read_bytes(), STATEMENT.dim),
            G1Point(*stage.market.model_commitment(task_id)),
            stage.srs,
        )
        [manifest] = derived_objects(stage.market, task_id, store)
        assert (await client.manifest(task_id, 1)) == decode_manifest(store.get(manifest.cid))
        assert ((await client.manifest(task_id, 1)).sealed, (await client.manifest(task_id, 1)).sum) == (True, None)
        error = await fetched(stage, aggregator.port, task_id, stage.key_file, tmp_path / "none")
        assert error["error"]["kind"] == "KeyNotShared"
        assert not (tmp_path / "none").exists()
        first = await fetched(stage, aggregator.port, task_id, stage.key_file, tmp_path / "first", "--version", "0")
        assert not first["sealed"]
        assert (tmp_path / "first").read_bytes() == stage.genesis_data


async def wait_until_final(client: AggregatorClient, task_id: int) -> None:
    async for _ in client.watch(task_id):
        pass


async def fetched(stage: Stage, port: int, task_id: int, key_file: Path, out: Path, *more: str) -> dict[str, Any]:
    """What `merit task model` says."""
    config = out.with_suffix(".toml")
    config.write_text(
        f'''[chain]
rpc_url = "{stage.rpc_url}"
market = "{stage.market.address}"
[client]
aggregator_target = "127.0.0.1:{port}"
'''
    )
    command = ["task", "model", str(task_id), "--out", str(out), "--config", str(config), "--json"]
    done = await asyncio.to_thread(CliRunner().invoke, app, [*command, "--key-file", str(key_file), *more])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
