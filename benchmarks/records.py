"""Results as JSON lines: one a measurement, written when it is done, so that a run goes on where another ended."""

import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

Record = dict[str, Any]
_PACKAGES = ("ezkl", "numpy", "torch", "web3")


class Results:
    """Measurements by what was measured.

    Args:
        path: JSON lines, appended to; None keeps them in memory only.
        resume: whether what the file holds already is not measured again.
    """

    def __init__(self, path: Path | None = None, *, resume: bool = False) -> None:
        self._path = path
        self.all: list[Record] = read(path) if path is not None and resume and path.exists() else []
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without a last line that was cut off, so that what follows it can be read.
            path.write_text("".join(json.dumps(record) + "\n" for record in self.all))

    def once(self, what: Record, measure: Callable[[], Record]) -> Record:
        """The measurement of `what`, made unless it is there."""
        for record in self.all:
            if record.items() >= what.items():
                return record
        record = {**what, **measure(), "machine": machine(), "measured_at": round(time.time())}
        self.all.append(record)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(record) + "\n")
        return record


def read(path: Path) -> list[Record]:
    """The records of a file; a last line that was cut off is left out."""
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def machine() -> Record:
    """What the figures depend on, and how busy it was."""
    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    return {
        "cpu": cpu.partition(": ")[2] or cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in (*_PACKAGES, "merit-native")},
    }


def spread(values: Sequence[float]) -> Record:
    """Median and extremes of the runs."""
    return {
        "median": _rounded(statistics.median(values)),
        "low": _rounded(min(values)),
        "high": _rounded(max(values)),
        "runs": len(values),
    }


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.4g}")


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


class Clock:
    """Seconds by name, run after run."""

    def __init__(self) -> None:
        self.runs: dict[str, list[float]] = {}

    def timed(self, name: str, work: Callable[[], T]) -> T:
        started_at = time.perf_counter()
        result = work()
        self.add(name, time.perf_counter() - started_at)
        return result

    def add(self, name: str, seconds: float) -> None:
        self.runs.setdefault(name, []).append(seconds)

    def spreads(self) -> dict[str, Record]:
        return {name: spread(values) for name, values in self.runs.items()}
