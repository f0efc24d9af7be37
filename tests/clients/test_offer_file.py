"""A task's file, and the first model that it names."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from clients.offer_file import GenesisConfig, first_parameters, read_offer
from clients.run import offer_of
from process.errors import ConfigurationError

ADDRESS = "0x" + "11" * 20
OTHER = "0x" + "22" * 20
TERMS = """
reward_per_round_wei = "1000000000000000000000"
bond_wei = 5
quorum = 3
[statement]
slots = 4
[genesis]
script = "user.py"
"""
SCRIPT = """
import torch

def build():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    return model
"""


def test_terms_with_the_configuration_s_addresses(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text(TERMS)
    offer = read_offer(tmp_path / "task.toml", aggregator=ADDRESS, verifier=OTHER)
    assert (offer.aggregator, offer.verifier) == (ADDRESS, OTHER)
    assert offer_of(offer).reward_per_round_wei == 10**21
    assert not offer_of(offer).seal_last_model
    (tmp_path / "task.toml").write_text("seal_last_model = true\n" + TERMS)
    assert offer_of(read_offer(tmp_path / "task.toml", aggregator=ADDRESS, verifier=OTHER)).seal_last_model
    (tmp_path / "task.toml").write_text(f'aggregator = "{OTHER}"\n' + TERMS)
    assert read_offer(tmp_path / "task.toml", aggregator=ADDRESS, verifier=OTHER).aggregator == OTHER


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (TERMS, "verifier"),
        (TERMS.replace("bond_wei = 5", ""), "bond_wei"),
        (TERMS.replace('script = "user.py"', ""), "genesis"),
        (TERMS.replace("slots = 4", "slotz = 4"), "statement.slotz"),
        (TERMS.replace("quorum = 3", "quorum = 0"), "quorum"),
    ],
)
def test_what_is_missing_or_unknown_is_named(text: str, field: str, tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_offer(tmp_path / "task.toml", aggregator=ADDRESS, verifier="")
    assert caught.value.field == field


def test_a_file_with_one_tensor(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 6).reshape(2, 3)
    safetensors.numpy.save_file({"parameters": values}, tmp_path / "a.safetensors")
    assert first_parameters(GenesisConfig(file=tmp_path / "a.safetensors")).tolist() == values.reshape(-1).tolist()


def test_a_state_dict_is_in_its_model_s_order(tmp_path: Path) -> None:
    """safetensors orders by type and name, which is not how the model's parameters follow each other."""
    (tmp_path / "user.py").write_text(SCRIPT)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    safetensors.torch.save_file(model.state_dict(), tmp_path / "a.safetensors")
    expected = torch.cat([value.reshape(-1) for value in model.state_dict().values()]).double().tolist()
    both = GenesisConfig(file=tmp_path / "a.safetensors", script=tmp_path / "user.py")
    assert first_parameters(both).tolist() == expected
    assert first_parameters(GenesisConfig(script=tmp_path / "user.py")).tolist() == [0] * 13
    with pytest.raises(ConfigurationError, match="order of its 4 tensors") as caught:
        first_parameters(GenesisConfig(file=tmp_path / "a.safetensors"))
    assert caught.value.field == "genesis.script"


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_files_that_hold_no_model(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    (tmp_path / "user.py").write_text(SCRIPT)
    for script in (None, tmp_path / "user.py"):
        with pytest.raises(ConfigurationError):
            first_parameters(GenesisConfig(file=tmp_path / "a.safetensors", script=script))


def test_another_model_s_state_dict(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(SCRIPT)
    safetensors.torch.save_file(torch.nn.Linear(2, 2).state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(ConfigurationError, match=r"genesis\.file"):
        first_parameters(GenesisConfig(file=tmp_path / "a.safetensors", script=tmp_path / "user.py"))
    with pytest.raises(ConfigurationError, match=r"genesis\.file"):
        first_parameters(GenesisConfig(file=tmp_path / "missing"))
