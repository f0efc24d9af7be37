"""Commands: what they print, and how they end."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from process.exits import Exit
from process.keyfile import create_key_file
from tests.clients.cli.running import merit, refused
from tests.stage import REWARD_WEI, TRAINERS, Stage

ADDRESS = "0x" + "11" * 20


def configured(directory: Path, stage: Stage, port: int, **client: object) -> None:
    create_key_file(directory / "key", stage.owner.key.hex())
    content = {
        "chain": {"rpc_url": stage.rpc_url, "market": stage.market.address},
        "client": {"aggregator_target": f"127.0.0.1:{port}", "key_file": "key", **client},
    }
    (directory / "merit.json").write_text(json.dumps(content))


async def test_status_of_a_round(stage: Stage, directory: Path) -> None:
    async with stage.running() as (aggregator, client):
        configured(directory, stage, aggregator.port)
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0, count=2)
        code, out, _ = await merit("status", "--config", "merit.json", "--json")
        shown, printed, errors = await merit("status", "--config", "merit.json")
    assert code == shown == Exit.OK
    status = json.loads(out)
    assert status["reachable"]
    assert set(status["services"].values()) == {"SERVING"}
    assert status["chain"]["chain_id"] == stage.chain.chain_id
    task = next(task for task in status["tasks"] if task["task_id"] == task_id)
    assert (task["status"], task["rule"], task["rounds"]) == ("open", "multi_krum+projection", 2)
    current = task["current"]
    assert (current["round"], current["under_way"], current["updates"]) == (0, "collecting updates", 2)
    assert current["deadline_seconds"] == stage.market.task(task_id).deadline_seconds
    assert [step["step"] for step in current["steps"]] == ["collecting"]
    assert "collecting updates" in printed
    assert "multi_krum+projection" in printed
    assert errors == ""


async def test_watching_prints_a_document_a_line(stage: Stage, directory: Path) -> None:
    async with stage.running() as (aggregator, _):
        configured(directory, stage, aggregator.port)
        command = ["status", "--config", "merit.json", "--watch", "--every-seconds", "0.2", "--json"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "clients", *command),
            cwd=directory,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
            stdout=asyncio.subprocess.PIPE,
            # Ignored in all that a shell runs in the background, and inherited from there.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stdout is not None
        seen = [json.loads(await process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert await process.wait() == Exit.INTERRUPTED
    assert all(document["reachable"] for document in seen)


async def test_nobody_there(stage: Stage, directory: Path) -> None:
    configured(directory, stage, 1)
    code, out, _ = await merit("status", "--config", "merit.json", "--json")
    assert code == Exit.AGGREGATOR
    document = json.loads(out)
    assert not document["reachable"]
    assert "UNAVAILABLE" in document["error"]
    assert document["chain"]["chain_id"] == stage.chain.chain_id
    error = await refused("task", "show", "1", "--config", "merit.json", "--rpc", "http://127.0.0.1:1")
    assert (error["kind"], error["exit"]) == ("ChainUnavailable", Exit.CHAIN)


async def test_a_task_as_the_chain_has_it(stage: Stage, directory: Path) -> None:
    configured(directory, stage, 1)
    task_id = await stage.create_task(joined=2)
    shown = ["task", "show", str(task_id), "--config", "merit.json"]
    code, out, _ = await merit(*shown, "--no-checks", "--json")
    assert code == Exit.OK
    document = json.loads(out)
    assert (document["state"], document["owner"]) == ("funded", stage.owner.address)
    assert document["terms"]["reward_per_round_wei"] == str(REWARD_WEI)
    assert document["escrow_wei"] == str(2 * REWARD_WEI)
    assert [credit["role"] for credit in document["credits"]] == ["owner", "aggregator", "trainer", "trainer"]
    assert document["rounds"] == document["checks"] == []
    # The stage's rule key is a double's, and that is found out.
    code, out, _ = await merit(*shown, "--json")
    assert code == Exit.FAILED
    (check,) = json.loads(out)["checks"]
    assert not check["ok"]
    assert check["reason"].startswith("rule_vka: ")
    code, out, _ = await merit(*shown, "--no-checks")
    assert code == Exit.OK
    assert f"Task {task_id}" in out
    assert stage.trainers[0].address in out


async def test_closing_a_task_that_nobody_serves(stage: Stage, directory: Path) -> None:
    configured(directory, stage, 1)
    task_id = await stage.create_task()
    close = ["task", "close", str(task_id), "--config", "merit.json"]
    create_key_file(directory / "other", stage.outsider.key.hex())
    assert (await refused(*close, "--key-file", "other"))["field"] == "key_file"
    code, out, errors = await merit(*close, "--json")
    assert code == Exit.OK, errors
    assert json.loads(out) == {"task_id": task_id, "refunded_wei": str(2 * REWARD_WEI), "token": None}
    assert json.loads((await merit(*close, "--json"))[1])["refunded_wei"] == "0"
    error = await refused("withdraw", "--task", str(task_id), "--config", "merit.json")
    assert (error["kind"], error["exit"]) == ("NothingToWithdraw", Exit.FAILED)


async def test_an_open_task_is_not_closed(stage: Stage, directory: Path) -> None:
    async with stage.running() as (aggregator, client):
        configured(directory, stage, aggregator.port)
        task_id = await stage.open_task(client)
        error = await refused("task", "close", str(task_id), "--config", "merit.json")
    assert (error["kind"], error["exit"]) == ("WrongTaskState", Exit.FAILED)


async def test_terms_that_a_trainer_refuses(stage: Stage, directory: Path) -> None:
    (directory / "user.py").write_text("def train(parameters, round, learning_rate): return parameters")
    async with stage.running() as (aggregator, client):
        configured(directory, stage, aggregator.port)
        task_id = await stage.create_task(joined=TRAINERS - 1)
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        arguments = ["train", "--config", "merit.json", "--task", str(task_id), "--script", "user.py"]
        code, _, errors = await merit(*arguments)
    assert code == Exit.FAILED
    assert errors.startswith("merit: rule_vka: ")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("def fit(): ...", Exit.SCRIPT, "it is not defined"),
        ("import nowhere_to_be_found", Exit.SCRIPT, "ModuleNotFoundError"),
    ],
)
async def test_a_script_that_cannot_train(text: str, code: Exit, said: str, directory: Path) -> None:
    (directory / "user.py").write_text(text)
    (directory / "merit.toml").write_text(
        f'[chain]\nrpc_url = "http://127.0.0.1:1"\nmarket = "{ADDRESS}"\n[client]\naggregator_target = "127.0.0.1:1"'
    )
    ended, _, errors = await merit("train", "--task", "1", "--script", "user.py")
    assert ended == code
    assert said in errors


async def test_configurations_that_are_wrong(directory: Path) -> None:
    error = await refused("status")
    assert (error["field"], error["exit"]) == ("client.rpc_url", Exit.CONFIGURATION)
    (directory / "merit.toml").write_text("[agregator]\nport = 1")
    for command in (["status"], ["config"], ["task", "show", "1"]):
        assert (await refused(*command))["field"] == "agregator"
    for command in ("serve", "owner", "trainer"):
        code, _, errors = await merit(command)
        assert code == Exit.CONFIGURATION
        assert errors.startswith("merit: agregator: not a section")
    assert (await merit("status", "--no-such-option"))[0] == Exit.USAGE
    assert (await merit("config", "nothing"))[0] == Exit.USAGE


async def test_config_tells_sources_and_hides_secrets(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "merit.toml").write_text(
        f'[chain]\nrpc_url = "https://user:hunter2@node.example/v3/0123abcd"\nmarket = "{ADDRESS}"\n'
        '[aggregator]\ndata_directory = "data"\nport = 5'
    )
    monkeypatch.setenv("MERIT_AGGREGATOR__PORT", "6")
    monkeypatch.setenv("MERIT_PASSWORD", "hunter2")
    code, out, errors = await merit("config", "--json")
    _, shown, _ = await merit("config")
    assert code == Exit.OK
    assert "hunter2" not in out + errors + shown
    assert "0123abcd" not in out + errors + shown
    document = json.loads(out)
    settings = {row["name"]: (row["value"], row["source"]) for row in document["settings"]}
    assert settings["aggregator.port"] == (6, "MERIT_AGGREGATOR__PORT")
    assert settings["aggregator.data_directory"] == ("data", "merit.toml")
    assert settings["aggregator.host"] == ("127.0.0.1", "default")
    assert settings["aggregator.rpc_url"] == ("https://***@node.example/***", "merit.toml")
    assert document["environment"]["MERIT_PASSWORD"] == "***"
    assert "MERIT_AGGREGATOR__PORT" in shown


async def test_a_new_key(directory: Path) -> None:
    (directory / "password").write_text("a good password\n")
    (directory / "password").chmod(0o600)
    new = ["keys", "new", "me.json", "--password-file", "password"]
    code, out, errors = await merit(*new, "--json")
    assert code == Exit.OK, errors
    address = json.loads(out)["address"]
    assert "a good password" not in out + errors + (directory / "me.json").read_text()
    assert (await refused(*new))["kind"] == "KeyFileError"
    show = ["keys", "show", "me.json"]
    assert (await merit(*show, "--password-file", "password"))[1].strip() == address
    assert (await refused(*show))["kind"] == "PasswordMissing"
    (directory / "password").write_text("another password\n")
    error = await refused(*show, "--password-file", "password")
    assert (error["kind"], error["exit"]) == ("WrongPassword", Exit.CONFIGURATION)
    assert "another password" not in json.dumps(error)


async def test_a_private_authority(directory: Path) -> None:
    assert (await merit("tls", "new-ca", "ca"))[0] == Exit.OK
    issue = ["tls", "issue", "aggregator", "--authority", "ca"]
    code, out, _ = await merit(*issue, "--host", "localhost", "--host", "10.0.0.1", "--json")
    assert code == Exit.OK
    assert (directory / json.loads(out)["certificate"]).read_text().startswith("-----BEGIN CERTIFICATE")
    assert (await merit(*issue))[0] == Exit.USAGE
    assert (await merit(*issue, "--host", "a", "--client"))[0] == Exit.USAGE
    error = await refused(*issue, "--host", "localhost")
    assert (error["kind"], error["exit"]) == ("CertificateError", Exit.CONFIGURATION)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion(shell: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code, out, _ = await merit("--show-completion", shell)
    assert code == Exit.OK
    assert "_MERIT_COMPLETE" in out
