"""Configurations name the field that is wrong."""

from pathlib import Path

import pytest

from aggregator.config import AggregatorConfig
from clients.config import OwnerConfig, TrainerConfig
from process.configuration import load, parse
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
