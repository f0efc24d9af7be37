"""Configurations: typed, closed (an unknown field is an error), from a TOML or JSON file."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from process.errors import ConfigurationError

MAX_FILE_BYTES = 1 << 20


class Configuration(BaseModel):
    """Base of every configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)


C = TypeVar("C", bound=Configuration)


def load(kind: type[C], path: Path) -> C:
    """Reads a configuration; relative paths in it are the process's own.

    Raises:
        ConfigurationError: naming the field.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path.name}: over {MAX_FILE_BYTES} bytes")
        content = tomllib.loads(raw.decode()) if path.suffix == ".toml" else from_json(raw)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path.name}: {error}") from error
    return parse(kind, content)


def parse(kind: type[C], content: object) -> C:
    """A configuration from plain values (ConfigurationError, naming the field, if one is not allowed)."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{field or kind.__name__}: {first['msg']}", field) from None
