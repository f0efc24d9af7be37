"""The demo's model: local training and evaluation in PyTorch. Deterministic by seed."""

from dataclasses import dataclass

import torch

from clients.data import Samples


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
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.sub_(learning_rate * gradient)


def accuracy(model: torch.nn.Module, data: Samples) -> float:
    """Share of samples that the model labels correctly."""
    model.eval()
    with torch.no_grad():
        predicted = model(torch.from_numpy(data.inputs)).argmax(dim=1)
    return float((predicted == torch.from_numpy(data.labels)).double().mean())
