"""The PyTorch side: models to flat vectors and back, local training, evaluation. Deterministic by seed."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from clients.data import Samples
from clients.errors import InvalidTraining

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a trainer trains.

    Attributes:
        epochs: passes over the shard in a round.
        learning_rate: of plain SGD.
        batch_size: samples a step.
        seed: of the order of samples.
    """

    epochs: int = 3
    learning_rate: float = 0.5
    batch_size: int = 16
    seed: int = 0


def softmax_regression(inputs: int = 64, classes: int = 10) -> torch.nn.Module:
    """A linear classifier, all zeros: inputs * classes + classes parameters."""
    model = torch.nn.Linear(inputs, classes)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    return model


def flatten(model: torch.nn.Module) -> Vector:
    """All trainable parameters in the order of the state_dict, as float64[dim]."""
    parts = [parameter.detach().cpu().double().reshape(-1) for parameter in _trainable(model)]
    return torch.cat(parts).numpy()


def unflatten(model: torch.nn.Module, vector: Vector) -> None:
    """Writes float[dim] into the model's trainable parameters, in the same order.

    Raises:
        InvalidTraining: the vector is not of the model's dim.
    """
    parameters = _trainable(model)
    dim = sum(parameter.numel() for parameter in parameters)
    if vector.shape != (dim,):
        raise InvalidTraining(f"parameters: got shape {list(vector.shape)}, but the model has {dim}")
    start = 0
    with torch.no_grad():
        for parameter in parameters:
            part = torch.from_numpy(np.ascontiguousarray(vector[start : start + parameter.numel()]))
            parameter.copy_(part.reshape(parameter.shape))
            start += parameter.numel()


def train_local(model: torch.nn.Module, data: Samples, recipe: Recipe, *, round: int = 0) -> None:
    """Trains in place: plain SGD on cross-entropy, on one thread, in an order drawn from the seed and the round."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, whatever the machine
    try:
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + round)
        inputs, labels = torch.from_numpy(data.inputs), torch.from_numpy(data.labels)
        model.train()
        for _ in range(recipe.epochs):
            for batch in torch.randperm(len(labels), generator=generator).split(recipe.batch_size):  # type: ignore[no-untyped-call]
                loss = torch.nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                _descend(model, loss, recipe.learning_rate)
    finally:
        torch.set_num_threads(threads)


def _descend(model: torch.nn.Module, loss: torch.Tensor, learning_rate: float) -> None:
    """One step of plain SGD. torch's optimizer does the same, after loading a compiler for seconds in each process."""
    parameters = _trainable(model)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.sub_(learning_rate * gradient)


def accuracy(model: torch.nn.Module, data: Samples) -> float:
    """Share of samples that the model labels correctly."""
    model.eval()
    with torch.no_grad():
        predicted = model(torch.from_numpy(data.inputs)).argmax(dim=1)
    return float((predicted == torch.from_numpy(data.labels)).double().mean())


def _trainable(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    by_name = dict(model.named_parameters())
    return [by_name[name] for name in model.state_dict() if name in by_name and by_name[name].requires_grad]
