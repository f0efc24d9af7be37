"""Real modules, whose parameters are counted, and any module of the user's."""

from pathlib import Path

import pytest
import torch

from benchmarks import models
from benchmarks.models import MODELS, Known, load
from circuits.errors import FieldError


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_counted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = MODELS[name]
    sized = load(name)
    assert sized.dim == known.dim
    assert 0 < sized.last_layer < sized.dim or name == "softmax"
    wrong = Known(make=known.make, sample=known.sample, classes=known.classes, dim=known.dim + 1)
    monkeypatch.setitem(models.MODELS, name, wrong)
    with pytest.raises(AssertionError):
        load(name)


def test_models_go_from_small_to_large() -> None:
    sizes = [known.dim for known in MODELS.values()]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("width", [16, 8])
def test_a_residual_network_passes_what_its_body_does_not_change(width: int) -> None:
    block = models._Block(width, 16)
    torch.nn.init.zeros_(block.body[-1].weight)  # the last normalisation's factor: the body gives zeros
    torch.nn.init.zeros_(block.body[-1].bias)
    images = torch.rand(2, width, 8, 8)
    found = block.eval()(images)
    assert torch.equal(found[:, :width], images[:, :, :: block.stride, :: block.stride])
    assert not found[:, width:].any()


def test_a_module_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs.py").write_text(
        "from torch import nn\n"
        "def frozen_below():\n"
        "    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3), nn.ReLU())\n"
        "    model[0].requires_grad_(False)\n"
        "    return model\n"
        "def not_a_module():\n"
        "    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    sized = load("theirs:frozen_below")
    assert (sized.dim, sized.last_layer) == (15, 15)
    with pytest.raises(FieldError, match=r"must give a torch\.nn\.Module"):
        load("theirs:not_a_module")


@pytest.mark.parametrize("name", ["vgg", "no_such_module:make", "torch:", ":x", "torch:no_such_factory", "os:getcwd"])
def test_what_is_no_model_is_named(name: str) -> None:
    with pytest.raises(FieldError) as raised:
        load(name)
    assert raised.value.field == "models"
