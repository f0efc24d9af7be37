"""A PyTorch model's trainable parameters as one flat vector, and back. torch is loaded only where there is a model."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clients.errors import InvalidModel, InvalidParameter, InvalidTraining

if TYPE_CHECKING:
    import torch

Vector = NDArray[np.float64]
"""float64[dim]: parameters, or a change of them."""

_FLOATS = ("float16", "bfloat16", "float32", "float64")


class Parameters:
    """The trainable parameters of a model, in the order of its state_dict; a tied one counts once, at its first name.

    Buffers and frozen parameters are not among them. Which parameters there are is decided once, by name; the tensors
    behind the names may be replaced.

    Attributes:
        dim: how many numbers that is.
    Raises:
        InvalidModel: it is no torch.nn.Module, or has nothing to train.
        InvalidParameter: a parameter that cannot be read, or not be written, as numbers of its own.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        import torch  # noqa: PLC0415

        if not isinstance(model, torch.nn.Module):
            raise InvalidModel(f"model: got {type(model).__name__}, but it must be a torch.nn.Module")
        self._model = model
        trainable = _trainable(model)
        if not trainable:
            raise InvalidModel("model: it has no parameter that requires a gradient")
        self._shapes = {name: parameter.shape for name, parameter in trainable.items()}
        self.dim = sum(shape.numel() for shape in self._shapes.values())

    def read(self) -> Vector:
        """float64[dim]. Every parameter's own arithmetic fits into float64, so nothing is rounded.

        Raises:
            InvalidParameter: an entry is NaN or infinite, or a parameter is gone or of another shape.
        """
        vector, start = np.empty(self.dim), 0
        for name, parameter in self._current().items():
            part = parameter.detach().cpu().double().reshape(-1).numpy()
            wrong = np.flatnonzero(~np.isfinite(part))
            if wrong.size:
                raise InvalidParameter(name, f"entry {wrong[0]} is {part[wrong[0]]}", "every entry must be finite")
            vector[start : start + part.size] = part
            start += part.size
        return vector

    def write(self, vector: Vector) -> None:
        """Writes float[dim] into the model, rounded to each parameter's own type; all of it, or nothing.

        Raises:
            InvalidTraining: the vector is not of the model's dim.
            InvalidParameter: a number does not fit the parameter's type, or a parameter is gone or of another shape.
        """
        import torch  # noqa: PLC0415

        if vector.shape != (self.dim,):
            raise InvalidTraining(f"parameters: got shape {list(vector.shape)}, but the model has {self.dim}")
        parameters, parts, start = self._current(), [], 0
        for name, parameter in parameters.items():
            exact = np.array(vector[start : start + parameter.numel()], dtype=np.float64)
            part = torch.from_numpy(exact).to(parameter.dtype)
            wrong = np.flatnonzero(~np.isfinite(part.double().numpy()))
            if wrong.size:
                raise InvalidParameter(name, f"entry {wrong[0]} would be {exact[wrong[0]]}", f"it is {parameter.dtype}")
            parts.append(part.reshape(parameter.shape))
            start += parameter.numel()
        with torch.no_grad():
            for parameter, part in zip(parameters.values(), parts, strict=True):
                parameter.copy_(part)

    def _current(self) -> dict[str, torch.Tensor]:
        """What is behind the names now."""
        state = self._model.state_dict(keep_vars=True)
        for name, shape in self._shapes.items():
            found = state.get(name)
            if found is None or found.shape != shape:
                got = "none" if found is None else f"shape {list(found.shape)}"
                raise InvalidParameter(name, f"got {got}", f"it had shape {list(shape)} at first")
            _require_own_numbers(name, found)
        return {name: state[name] for name in self._shapes}


def flatten(model: torch.nn.Module) -> Vector:
    """All trainable parameters in the order of the state_dict, as float64[dim]. Raises what `Parameters` does."""
    return Parameters(model).read()


def unflatten(model: torch.nn.Module, vector: Vector) -> None:
    """Writes float[dim] into the trainable parameters, in the same order. Raises what `Parameters` does."""
    Parameters(model).write(vector)


def _trainable(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    taken: set[int] = set()
    for name, value in model.state_dict(keep_vars=True).items():
        if _is_trainable(value) and id(value) not in taken:
            _require_own_numbers(name, value)
            taken.add(id(value))
            found[name] = value
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in taken:
            raise InvalidParameter(name, "got no entry in the state_dict", "every trainable parameter must have one")
    _require_apart(found)
    return found


def _is_trainable(value: object) -> bool:
    import torch  # noqa: PLC0415

    return isinstance(value, torch.nn.Parameter) and value.requires_grad


def _require_own_numbers(name: str, parameter: torch.Tensor) -> None:
    """InvalidParameter unless it is dense, has memory of its own for each entry, and holds floats."""
    import torch  # noqa: PLC0415

    if torch.nn.parameter.is_lazy(parameter):
        raise InvalidParameter(name, "got no shape yet", "run the model once, so that lazy layers know theirs")
    if parameter.dtype not in {getattr(torch, dtype) for dtype in _FLOATS}:
        raise InvalidParameter(name, f"got {parameter.dtype}", f"it must be one of {', '.join(_FLOATS)}")
    if parameter.layout != torch.strided or parameter.is_meta:
        got = "no data" if parameter.is_meta else str(parameter.layout)
        raise InvalidParameter(name, f"got {got}", "it must be a dense tensor with data")
    if any(size > 1 and stride == 0 for size, stride in zip(parameter.shape, parameter.stride(), strict=True)):
        raise InvalidParameter(name, "got an expanded tensor", "each entry must have memory of its own")


def _require_apart(parameters: dict[str, torch.Tensor]) -> None:
    """InvalidParameter if two different parameters share memory: the one written last would be there twice."""
    spans = []
    for name, parameter in parameters.items():
        if parameter.numel():
            reach = sum((size - 1) * stride for size, stride in zip(parameter.shape, parameter.stride(), strict=True))
            start = parameter.data_ptr()
            spans.append((str(parameter.device), start, start + (reach + 1) * parameter.element_size(), name))
    spans.sort()
    for (device, _, end, name), (other_device, start, _, other) in pairwise(spans):
        if device == other_device and start < end:
            raise InvalidParameter(other, f"it shares memory with {name}", "tie weights by using one Parameter twice")
