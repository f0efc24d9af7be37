"""Configurations name the field that is wrong."""

import json
import os
from pathlib import Path

import pytest

from aggregator.config import AggregatorConfig
from clients.config import ClientConfig, DigitsConfig, OwnerConfig, RecipeConfig, StatementConfig, TrainerConfig
from process.configuration import Configuration, explained, load, masked, parse, settings
from process.errors import ConfigurationError

AGGREGATOR = {"rpc_url": "http://127.0.0.1:1", "market": "0x" + "0" * 40, "data_directory": "data"}


def test_toml_and_json_give_the_same(tmp_path: Path) -> None:
    lines = "\n".join(f'{key} = "{value}"' for key, value in AGGREGATOR.items())
    (tmp_path / "a.toml").write_text(lines)
    (tmp_path / "a.json").write_text(str(AGGREGATOR).replace("'", '"'))
    assert load(AggregatorConfig, tmp_path / "a.toml") == load(AggregatorConfig, tmp_path / "a.json")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"portt": 1}, "portt"),
        ({"port": 70000}, "port"),
        ({"poll_seconds": 0}, "poll_seconds"),
        ({"log_level": "loud"}, "log_level"),
        ({"market": None}, "market"),
        ({"max_logrows": 27}, "max_logrows"),
    ],
)
def test_the_wrong_field_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(AggregatorConfig, AGGREGATOR | change)
    assert caught.value.field == field


def test_private_keys_are_no_field() -> None:
    for kind in (AggregatorConfig, TrainerConfig, OwnerConfig):
        assert not any("private" in name or name == "key" for name in kind.model_fields)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "example.org"])
def test_plaintext_stays_on_loopback_unless_allowed(host: str) -> None:
    with pytest.raises(ConfigurationError, match="not encrypted"):
        parse(AggregatorConfig, AGGREGATOR | {"host": host})
    assert parse(AggregatorConfig, AGGREGATOR | {"host": host, "allow_plaintext": True}).host == host


def test_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        load(AggregatorConfig, tmp_path / "missing.toml")
    for name, text in {
        "a.toml": "= 1",
        "a.json": "{",
        "b.json": "[" * 100_000,
        "c.toml": "a = 1" + " " * (1 << 20),
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigurationError):
            load(AggregatorConfig, tmp_path / name)
    (tmp_path / "latin.toml").write_bytes(b'a = "\xff"')
    with pytest.raises(ConfigurationError):
        load(AggregatorConfig, tmp_path / "latin.toml")


CHAIN = {"rpc_url": "http://127.0.0.1:1", "market": "0x" + "0" * 40}


def written(path: Path, **sections: object) -> Path:
    path.write_text(json.dumps(sections))
    return path


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MERIT_"):
            monkeypatch.delenv(name)


def test_command_line_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"data_directory": "data", "port": 1, "max_uploads": 2, "poll_seconds": 3}
    path = written(tmp_path / "a.json", chain=CHAIN, aggregator=own)
    monkeypatch.setenv("MERIT_AGGREGATOR__MAX_UPLOADS", "20")
    monkeypatch.setenv("MERIT_AGGREGATOR__POLL_SECONDS", "30")
    monkeypatch.setenv("MERIT_AGGREGATOR__TASKS", "[4, 5]")
    monkeypatch.setenv("MERIT_CHAIN__RPC_URL", "http://10.0.0.1:2")
    found = explained(AggregatorConfig, "aggregator", path, {"poll_seconds": 40, "host": None})
    config = found.config
    assert (config.port, config.max_uploads, config.poll_seconds, config.tasks) == (1, 20, 40, (4, 5))
    assert config.rpc_url == "http://10.0.0.1:2"
    sources = {setting.name.removeprefix("aggregator."): setting.source for setting in found.settings}
    assert sources.keys() == AggregatorConfig.model_fields.keys()
    assert sources["market"] == sources["port"] == str(path)
    assert sources["max_uploads"] == "MERIT_AGGREGATOR__MAX_UPLOADS"
    assert sources["poll_seconds"] == "command line"
    assert sources["rpc_url"] == "MERIT_CHAIN__RPC_URL"
    assert sources["host"] == sources["drain_seconds"] == "default"


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CHAIN.items():
        monkeypatch.setenv(f"MERIT_CHAIN__{name.upper()}", value)
    monkeypatch.setenv("MERIT_AGGREGATOR__DATA_DIRECTORY", "data")
    assert settings(AggregatorConfig, "aggregator") == parse(AggregatorConfig, AGGREGATOR)


def test_tables_within_a_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {
        **{"aggregator_target": "a:1", "directory": "d", "aggregator": CHAIN["market"], "verifier": CHAIN["market"]},
        **{"reward_per_round_wei": 1, "bond_wei": 1, "quorum": 3, "statement": {"slots": 9, "outlier": "mad"}},
    }
    path = written(tmp_path / "a.json", chain=CHAIN, owner=own)
    monkeypatch.setenv("MERIT_OWNER__STATEMENT__SLOTS", "12")
    monkeypatch.setenv("MERIT_OWNER__STATEMENT__RULE_PARAMS", '{"c": 3}')
    found = explained(OwnerConfig, "owner", path)
    statement = found.config.statement
    assert (statement.slots, statement.outlier, statement.rule_params) == (12, "mad", {"c": 3})
    sources = {setting.name: setting.source for setting in found.settings}
    assert sources["owner.statement.slots"] == "MERIT_OWNER__STATEMENT__SLOTS"
    assert sources["owner.statement.outlier"] == str(path)
    assert sources["owner.statement.rule_params.c"] == "MERIT_OWNER__STATEMENT__RULE_PARAMS"


@pytest.mark.parametrize(
    ("sections", "field"),
    [
        ({"agregator": {}}, "agregator"),
        ({"rpc_url": "http://x"}, "rpc_url"),
        ({"chain": {**CHAIN, "chain_id": 1}}, "chain.chain_id"),
        ({"chain": CHAIN, "aggregator": {"data_directory": "d", "prot": 1}}, "aggregator.prot"),
        ({"chain": CHAIN, "aggregator": {"data_directory": "d", "port": -1}}, "aggregator.port"),
        ({"chain": CHAIN, "aggregator": {}}, "aggregator.data_directory"),
        ({"aggregator": {"data_directory": "d"}}, "aggregator.rpc_url"),
    ],
)
def test_sections_are_closed(sections: dict[str, object], field: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(AggregatorConfig, "aggregator", written(tmp_path / "a.json", **sections))
    assert caught.value.field == field
    assert field.rpartition(".")[2] in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MERIT_AGREGATOR__PORT", "1"),
        ("MERIT_AGGREGATOR__PROT", "1"),
        ("MERIT_AGGREGATOR__PORT", "many"),
        ("MERIT_CHAIN__CHAIN_ID", "1"),
        ("MERIT_AGGREGATOR", "{"),
    ],
)
def test_variables_are_closed_too(name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.json", chain=CHAIN, aggregator={"data_directory": "d"})
    settings(AggregatorConfig, "aggregator", path)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError):
        settings(AggregatorConfig, "aggregator", path)


def test_another_process_s_section_is_not_ours(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", chain=CHAIN, aggregator={"data_directory": "d"}, trainer={"shard": -1})
    settings(AggregatorConfig, "aggregator", path)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("https://user:pass@node.example:1/", "https://***@node.example:1/"),
        ("https://node.example/v3/0123456789abcdef", "https://node.example/***"),
        ("https://node.example?key=0123456789abcdef", "https://node.example/***"),
        ("postgresql+psycopg://merit:pass@db/merit", "postgresql+psycopg://***@db/merit"),
        ("plain", "plain"),
        (7, 7),
        (None, None),
    ],
)
def test_what_is_shown_of_an_address(value: object, shown: object) -> None:
    assert masked(value) == shown


def test_every_field_says_what_it_is() -> None:
    def undescribed(kind: type[Configuration]) -> list[str]:
        return [name for name, field in kind.model_fields.items() if not field.description]

    kinds = (AggregatorConfig, ClientConfig, OwnerConfig, TrainerConfig, StatementConfig, RecipeConfig, DigitsConfig)
    assert [(kind.__name__, undescribed(kind)) for kind in kinds if undescribed(kind)] == []
