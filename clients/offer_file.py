"""A task as an owner writes it down: a TOML file with its terms, and where its first model is from."""

from pathlib import Path

import numpy as np
from pydantic import Field, model_validator

from clients.config import OfferConfig
from clients.errors import InvalidModel
from clients.parameters import Parameters, Vector
from clients.script import Script
from process.configuration import Configuration, load
from process.errors import ConfigurationError

_KINDS = "fiu"


class GenesisConfig(Configuration):
    """Where training starts."""

    file: Path | None = None
    """A safetensors file: one tensor with all parameters, or a state_dict of the script's model."""
    script: Path | None = None
    """A Python file whose `build` gives the model, or its parameters as a float vector."""

    @model_validator(mode="after")
    def _something(self) -> "GenesisConfig":
        if self.file is None and self.script is None:
            raise ValueError("it needs a file, a script, or both")
        return self


class OfferFile(OfferConfig):
    """A task's terms, and its first model."""

    aggregator: str = ""
    """Address of the account that serves the task; default: `client.aggregator`."""
    verifier: str = ""
    """Address of the reusable verifier; default: `client.verifier`."""
    genesis: GenesisConfig = Field()
    """Where training starts."""


def read_offer(path: Path, *, aggregator: str, verifier: str, token: str | None = None) -> OfferFile:
    """A task's file, with the configuration's aggregator and verifier where it names none.

    Args:
        token: goes before the file's.
    Raises:
        ConfigurationError: naming the field.
    """
    offer = load(OfferFile, path)
    missing = {"aggregator": offer.aggregator or aggregator, "verifier": offer.verifier or verifier}
    for field, value in missing.items():
        if not value:
            raise ConfigurationError(f"{field}: name it in {path.name}, or as client.{field}", field)
    return offer.model_copy(update=missing if token is None else {**missing, "token": token})


def first_parameters(genesis: GenesisConfig) -> Vector:
    """float64[dim]: where training starts.

    A state_dict's file has its own order of tensors; which one is meant, only the script's model says.

    Raises:
        ConfigurationError: the file cannot be read, or does not fit.
        ScriptError: the script cannot be loaded, or lacks `build`.
    """
    script = None if genesis.script is None else Script(genesis.script)
    if genesis.file is None:
        assert script is not None, "one of them is there"
        return script.start()
    if script is not None:
        return _through_model(genesis.file, script)
    tensors = _tensors(genesis.file)
    if len(tensors) != 1:
        raise ConfigurationError(
            f"genesis.file: the order of its {len(tensors)} tensors is only a model's to know: name a script, too",
            "genesis.script",
        )
    (vector,) = tensors.values()
    return vector.astype(np.float64).reshape(-1)


def _through_model(path: Path, script: Script) -> Vector:
    import safetensors.torch  # noqa: PLC0415  (loads torch)

    model = script.model()
    if isinstance(model, np.ndarray):
        raise ConfigurationError("genesis: with a file, the script's build must give a model", "genesis.script")
    parameters = Parameters(model)
    try:
        model.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise ConfigurationError(f"genesis.file: {path}: {error}", "genesis.file") from error
    try:
        return parameters.read()
    except InvalidModel as error:
        raise ConfigurationError(f"genesis.file: {path}: {error}", "genesis.file") from error


def _tensors(path: Path) -> dict[str, np.ndarray]:
    import safetensors.numpy  # noqa: PLC0415

    try:
        tensors: dict[str, np.ndarray] = safetensors.numpy.load_file(path)
    except (OSError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise ConfigurationError(f"genesis.file: {path}: {error}", "genesis.file") from error
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in _KINDS or not tensor.size:
            raise ConfigurationError(f"genesis.file: {name} is {tensor.dtype}{list(tensor.shape)}", "genesis.file")
    return tensors
