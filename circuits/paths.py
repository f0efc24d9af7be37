"""Where strings and keys are kept: content-addressed, shared by every process of a user, safe to delete."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_directory() -> Path:
    """$MERIT_CACHE, or meritproof in the user's cache directory."""
    chosen = os.environ.get("MERIT_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meritproof"


def data_directory() -> Path:
    """meritproof in the user's data directory: unlike the cache, it is not safe to delete."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "meritproof"


def srs_directory() -> Path:
    """$MERIT_SRS, or srs in the cache: kzg{k}.srs files."""
    chosen = os.environ.get("MERIT_SRS")
    return Path(chosen) if chosen else cache_directory() / "srs"


def keys_directory() -> Path:
    """keys in the cache: one directory a circuit, named by the digest of all that the keys depend on."""
    return cache_directory() / "keys"


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds an inter-process lock on `path`.lock, so that only one process makes what others wait for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, data: bytes) -> None:
    """Readers see the whole file or none of it. A file that is made belongs to this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
        draft.write(data)
    Path(draft.name).replace(path)
