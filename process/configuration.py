"""Configurations: typed, closed (an unknown field is an error), from one file and the environment.

A file has a section for each kind of process, and `[chain]`, which all share. MERIT_SECTION__FIELD in the environment
goes before the file, what the command line says before both.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import from_json
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from process.errors import ConfigurationError

MAX_FILE_BYTES = 1 << 20
CHAIN = "chain"
SECTIONS = (CHAIN, "aggregator", "client", "owner", "trainer")
PREFIX, DELIMITER = "MERIT_", "__"

Values = dict[str, Any]


class Configuration(BaseModel):
    """Base of every configuration. A field's docstring is its description."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ChainConfig(Configuration):
    """The market, for every process."""

    rpc_url: str
    """http(s) address of an Ethereum node."""
    market: str
    """Address of the market."""


C = TypeVar("C", bound=Configuration)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value and where it is from.

    Attributes:
        name: section.field. value: as it may be shown: see `masked`.
        source: default, a file's path, a variable's name, or command line.
    """

    name: str
    value: object
    source: str


@dataclass(frozen=True, kw_only=True)
class Settings(Generic[C]):
    """A section as it holds: the values, and the source of each."""

    config: C
    settings: tuple[Setting, ...]


def load(kind: type[C], path: Path) -> C:
    """Reads a document without sections, such as a task's terms; relative paths in it are the process's own.

    Raises:
        ConfigurationError: naming the field.
    """
    return parse(kind, _read(path))


def parse(kind: type[C], content: object, *, section: str = "") -> C:
    """A configuration from plain values (ConfigurationError, naming the field, if one is not allowed)."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in ((section,) if section else ()) + first["loc"])
        raise ConfigurationError(f"{field or kind.__name__}: {first['msg']}", field) from None


def settings(kind: type[C], section: str, path: Path | None = None, given: Mapping[str, Any] | None = None) -> C:
    """A section as file, environment and command line have it; see `explained`."""
    return explained(kind, section, path, given).config


def explained(
    kind: type[C], section: str, path: Path | None = None, given: Mapping[str, Any] | None = None
) -> Settings[C]:
    """A section, and where each of its values is from.

    Args:
        path: TOML or JSON, see `SECTIONS`; without one, only the environment speaks.
        given: what the command line says, None where it says nothing.
    Raises:
        ConfigurationError: naming the field.
    """
    content = _sections(path)
    kinds: dict[str, type[Configuration]] = {section: kind}
    if issubclass(kind, ChainConfig):
        kinds = {CHAIN: ChainConfig, **kinds}
    environment = _environment(kinds)
    values: Values = {}
    sources: dict[tuple[str, ...], str] = {}
    for name in kinds:
        for source, layer in ((str(path), content.get(name, {})), ("", environment.get(name, {}))):
            _lay(values, sources, layer, lambda leaf, s=source, n=name: s or _variable(n, leaf))
    stated = {name: value for name, value in (given or {}).items() if value is not None}
    _lay(values, sources, stated, lambda _: "command line")
    config = parse(kind, values, section=section)
    found = [
        Setting(name=".".join((section, *leaf)), value=masked(value), source=_source_of(leaf, sources))
        for leaf, value in _leaves(config.model_dump(mode="json"))
    ]
    return Settings(config=config, settings=tuple(found))


def named_sections(path: Path | None) -> list[str]:
    """Sections that the file or the environment says something about, in the order of `SECTIONS`.

    Raises:
        ConfigurationError: the file cannot be read, or there is no such section.
    """
    content = _sections(path)
    _require_known_variables()
    starts = {name: f"{PREFIX}{name.upper()}" for name in SECTIONS}
    return [
        name
        for name, start in starts.items()
        if name in content or any(v == start or v.startswith(start + DELIMITER) for v in os.environ)
    ]


def masked(value: object) -> object:
    """A value as it may be shown: of an address, what could be a password or a provider's key is left out."""
    if not isinstance(value, str) or "://" not in value:
        return value
    parts = urlsplit(value)
    host = parts.netloc.rpartition("@")[2]
    user = "***@" if "@" in parts.netloc else ""
    hidden = parts.query or (parts.scheme in ("http", "https") and parts.path.strip("/"))
    path = "/***" if hidden else parts.path
    return f"{parts.scheme}://{user}{host}{path}"


def _read(path: Path) -> object:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path.name}: over {MAX_FILE_BYTES} bytes")
        return tomllib.loads(raw.decode()) if path.suffix == ".toml" else from_json(raw)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path.name}: {error}") from error


def _sections(path: Path | None) -> dict[str, Values]:
    content = {} if path is None else _read(path)
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: holds no sections; there are {', '.join(SECTIONS)}")
    for name, values in content.items():
        if name not in SECTIONS or not isinstance(values, dict):
            raise ConfigurationError(f"{name}: not a section; there are {', '.join(SECTIONS)}", str(name))
    unknown = set(content.get(CHAIN, {})) - set(ChainConfig.model_fields)
    if unknown:
        field = f"{CHAIN}.{min(unknown)}"
        raise ConfigurationError(f"{field}: there is no such field", field)
    return content


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=DELIMITER, env_ignore_empty=True)


def _require_known_variables() -> None:
    for name in os.environ:
        section, delimiter, _ = name.removeprefix(PREFIX).partition(DELIMITER)
        if name.startswith(PREFIX) and delimiter and section.lower() not in SECTIONS:
            raise ConfigurationError(
                f"{name}: {section.lower()} is not a section; there are {', '.join(SECTIONS)}", name
            )


def _environment(kinds: Mapping[str, type[Configuration]]) -> dict[str, Values]:
    _require_known_variables()
    fields: Any = {name: (kind, ...) for name, kind in kinds.items()}
    reader = create_model("Environment", __base__=_Environment, **fields)
    try:
        values: dict[str, Values] = EnvSettingsSource(reader)()
    except SettingsError as error:
        raise ConfigurationError(f"environment: {error}") from None
    unknown = set(values.get(CHAIN, {})) - set(ChainConfig.model_fields)
    if unknown:
        raise ConfigurationError(f"{_variable(CHAIN, (min(unknown),))}: there is no such field", min(unknown))
    return values


def _lay(values: Values, sources: dict[tuple[str, ...], str], layer: Values, source: Any) -> None:
    """Lays values over others, table by table, and notes whose each of them is."""
    for leaf, value in _leaves(layer):
        at = values
        for part in leaf[:-1]:
            if not isinstance(at.get(part), dict):
                at[part] = {}
            at = at[part]
        at[leaf[-1]] = value
        sources[leaf] = source(leaf)


def _leaves(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _variable(section: str, leaf: tuple[str, ...]) -> str:
    """The variable that a value is from: its own, or one that holds its whole table."""
    for length in range(len(leaf), -1, -1):
        name = PREFIX + DELIMITER.join((section, *leaf[:length])).upper()
        if name in os.environ:
            return name
    return PREFIX + DELIMITER.join((section, *leaf)).upper()


def _source_of(leaf: tuple[str, ...], sources: Mapping[tuple[str, ...], str]) -> str:
    for length in range(len(leaf), 0, -1):
        if leaf[:length] in sources:
            return sources[leaf[:length]]
    return "default"
