"""The models that are measured: real modules, whose parameters are counted."""

from collections.abc import Callable

import torch
from torch import nn


def softmax() -> nn.Module:
    """Softmax regression on 28x28 images."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def lenet5() -> nn.Module:
    """LeNet-5 (LeCun et al., 1998) with ReLU and max pooling, on 32x32 images."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def fedavg_cnn() -> nn.Module:
    """Two convolutions and two dense layers on 28x28 images, as in common examples of federated averaging."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int], int]] = {
    "softmax": (softmax, (28, 28), 7_850),
    "lenet5": (lenet5, (32, 32), 61_706),
    "fedavg_cnn": (fedavg_cnn, (28, 28), 1_199_882),
}
"""Name: module, image, number of parameters."""


def dim_of(name: str) -> int:
    """The number of parameters of the named model, counted; the module runs."""
    make, image, expected = MODELS[name]
    model = make()
    assert model(torch.zeros(1, 1, *image)).shape == (1, 10)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == expected, f"{name} has {counted} parameters, not {expected}"
    return counted
