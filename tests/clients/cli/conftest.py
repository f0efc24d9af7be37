"""Where commands run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from process import logs
from tests.stage_fixtures import local, stage  # noqa: F401


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where commands run; nothing of this process's own configuration reaches them."""
    for name in list(os.environ):
        if name.startswith("MERIT_") and name not in ("MERIT_CACHE", "MERIT_SRS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.chdir(tmp_path)
    logs.configure("error")  # the aggregator's lines would be among what a command prints
    yield tmp_path
    structlog.reset_defaults()
