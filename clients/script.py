"""A user's script: a Python file whose functions train.

    def train(parameters, round, learning_rate):    # NumPy: float64[dim] in, float[dim] out
        ...
        return parameters

or, with PyTorch,

    def build():                                    # the model, with the parameters that training starts from
        return torch.nn.Linear(64, 10)

    def train(model, round, learning_rate):         # in place; `model` is the one that build() made
        ...

`learning_rate` is None where the task leaves it to its trainers. `build` alone is enough to create a task; it may also
return a float vector.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from clients.errors import ClientError, ScriptError
from clients.local_training import LocalTraining
from clients.parameters import Parameters, Vector

TRAIN, BUILD = "train", "build"
_TRAIN_ARGUMENTS = 3


class Script:
    """A script that was loaded; its own code ran once.

    Raises:
        ScriptError: it is no Python file, or raises.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._module = _load(path)

    def training(self) -> LocalTraining:
        """Local training as its `train` does it.

        Raises:
            ScriptError: there is no `train` of three arguments, or `build` fails.
        """
        train = self._function(TRAIN, _TRAIN_ARGUMENTS)
        if train is None:
            raise ScriptError(self.path, f"{TRAIN}(parameters, round, learning_rate)", "it is not defined")
        if self._function(BUILD, 0) is None:
            return self._guarded(TRAIN, train)
        model = self._build()
        if isinstance(model, np.ndarray):
            return self._guarded(TRAIN, train)
        held = Parameters(model)
        run = self._guarded(TRAIN, train)

        def trained(parameters: Vector, round: int, learning_rate: float | None) -> Vector:
            held.write(parameters)
            # What the model made of the parameters: to its own precision, it starts there.
            start = held.read()
            run(model, round, learning_rate)
            return parameters + (held.read() - start)

        return trained

    def start(self) -> Vector:
        """float64[dim]: the parameters that `build` gives.

        Raises:
            ScriptError: there is no `build`, or it fails.
            InvalidModel: its parameters cannot be trained in a market.
        """
        built = self._build()
        if isinstance(built, np.ndarray):
            return built.astype(np.float64)
        return Parameters(built).read()

    def model(self) -> Any:
        """What `build` gives (ScriptError if it fails)."""
        return self._build()

    def _build(self) -> Any:
        build = self._function(BUILD, 0)
        if build is None:
            raise ScriptError(self.path, f"{BUILD}()", "it is not defined")
        return self._guarded(BUILD, build)()

    def _function(self, name: str, arguments: int) -> Callable[..., Any] | None:
        found = getattr(self._module, name, None)
        if found is None:
            return None
        if not callable(found):
            raise ScriptError(self.path, name, f"it is {type(found).__name__}, but it must be a function")
        try:
            inspect.signature(found).bind(*[None] * arguments)
        except TypeError:
            raise ScriptError(self.path, name, f"it must take {arguments} arguments") from None
        except ValueError:
            pass  # written in C: it will say itself
        return found  # type: ignore[no-any-return]

    def _guarded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except ClientError:
                raise
            except Exception as error:
                raise ScriptError(self.path, name, f"{type(error).__name__}: {error}") from error

        return guarded


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise ScriptError(path, "", "there is no such file")
    name = f"merit_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScriptError(path, "", "it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # As if it were run: what lies beside it can be imported, and dataclasses find their module.
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ScriptError(path, "", f"{type(error).__name__}: {error}") from error
    return module
