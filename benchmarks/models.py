"""The models that are measured: real modules, whose parameters are counted."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from circuits.errors import FieldError

IMAGE, COLOUR, CHARACTERS = (28, 28), (3, 32, 32), 90


class ResNet(nn.Module):
    """For 32x32 colour images (He et al., 2016, section 4.2): 6 n + 2 layers, shortcuts without parameters."""

    def __init__(self, n: int) -> None:
        super().__init__()
        widths = (16, 32, 64)
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        blocks, width = [], 16
        for out in widths:
            blocks += [_Block(width, out), *(_Block(out, out) for _ in range(n - 1))]
            width = out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.blocks(self.stem(images)).mean(dim=(2, 3)))
        return found


class _Block(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.stride, self.more = (1 if width == out else 2), out - width
        self.body = nn.Sequential(
            nn.Conv2d(width, out, 3, stride=self.stride, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x[:, :, :: self.stride, :: self.stride]
        shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, 0, self.more))
        return torch.relu(self.body(x) + shortcut)


class CharacterLstm(nn.Module):
    """The next character from 8-dimensional embeddings and two layers of 256 (McMahan et al., 2017)."""

    def __init__(self, characters: int = CHARACTERS) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 8)
        self.lstm = nn.LSTM(8, 256, num_layers=2, batch_first=True)
        self.head = nn.Linear(256, characters)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(self.embedding(text))
        found: torch.Tensor = self.head(states[:, -1])
        return found


def softmax() -> nn.Module:
    """Softmax regression on 28x28 images."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def digits_mlp() -> nn.Module:
    """One hidden layer of 64 on scikit-learn's 8x8 digits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def lenet5() -> nn.Module:
    """LeNet-5 (LeCun et al., 1998) with ReLU and max pooling, on 32x32 images."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def two_cp_cnn() -> nn.Module:
    """The CNN of 2CP (Cai et al., 2020) on 28x28 images."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip


def fedavg_cnn() -> nn.Module:
    """Two convolutions and two dense layers on 28x28 images, as in common examples of federated averaging."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def fedavg_cnn_512() -> nn.Module:
    """The CNN of the paper that introduced federated averaging (McMahan et al., 2017), on 28x28 images."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Known:
    """A model whose size is known beforehand.

    Attributes:
        sample: shape of one input; of characters where there is one dimension.
        classes: outputs of one sample.
        dim: number of parameters.
    """

    make: Callable[[], nn.Module]
    sample: tuple[int, ...]
    dim: int
    classes: int = 10


MODELS: dict[str, Known] = {
    "digits_mlp": Known(make=digits_mlp, sample=(1, 8, 8), dim=4_810),
    "softmax": Known(make=softmax, sample=(1, 28, 28), dim=7_850),
    "lenet5": Known(make=lenet5, sample=(1, 32, 32), dim=61_706),
    "resnet20": Known(make=lambda: ResNet(3), sample=COLOUR, dim=269_722),
    "two_cp_cnn": Known(make=two_cp_cnn, sample=(1, 28, 28), dim=431_080),
    "char_lstm": Known(make=CharacterLstm, sample=(80,), dim=822_570, classes=CHARACTERS),
    "resnet56": Known(make=lambda: ResNet(9), sample=COLOUR, dim=853_018),
    "fedavg_cnn": Known(make=fedavg_cnn, sample=(1, 28, 28), dim=1_199_882),
    "fedavg_cnn_512": Known(make=fedavg_cnn_512, sample=(1, 28, 28), dim=1_663_370),
}
"""From small to large."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sized:
    """A module's trainable parameters, as a vector.

    Attributes:
        name: in MODELS, or pkg.mod:factory.
        last_layer: parameters of its last layer that has any.
    """

    name: str
    parameters: NDArray[np.float64]
    last_layer: int

    @property
    def dim(self) -> int:
        return int(self.parameters.size)


def load(name: str) -> Sized:
    """The named model, counted; one of MODELS runs, too.

    Args:
        name: in MODELS, or pkg.mod:factory, where calling factory gives a torch.nn.Module.
    Raises:
        FieldError: there is no such model.
    """
    torch.manual_seed(1)
    model = _known(name) if name in MODELS else _of_user(name)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise FieldError("models", name, "it must have parameters that are trained")
    layers = [sum(p.numel() for p in layer.parameters(recurse=False) if p.requires_grad) for layer in model.modules()]
    return Sized(
        name=name,
        parameters=nn.utils.parameters_to_vector(trainable).detach().double().numpy(),
        last_layer=[size for size in layers if size][-1],
    )


def _known(name: str) -> nn.Module:
    known = MODELS[name]
    model = known.make()
    of_characters = len(known.sample) == 1
    sample = torch.zeros(1, *known.sample, dtype=torch.long if of_characters else torch.float32)
    assert model(sample).shape == (1, known.classes)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == known.dim, f"{name} has {counted} parameters, not {known.dim}"
    return model


def _of_user(path: str) -> nn.Module:
    module_name, _, factory = path.partition(":")
    limit = f"it must be one of {', '.join(MODELS)}, or pkg.mod:factory"
    if not module_name or not factory.isidentifier():
        raise FieldError("models", repr(path), limit)
    if "" not in sys.path:
        sys.path.insert(0, "")  # the user's own directory, as for `python -m`
    try:
        made = getattr(importlib.import_module(module_name), factory)()
    except (ImportError, AttributeError, TypeError) as error:
        raise FieldError("models", repr(path), f"{limit} ({error})") from error
    if not isinstance(made, nn.Module):
        raise FieldError("models", repr(path), f"{factory}() must give a torch.nn.Module, not {type(made).__name__}")
    return made
