"""Fixtures of `tests.stage`, for the packages that play on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from circuits.prover import Prover
from contracts.bindings.devchain import LocalChain, anvil_chain
from tests.stage import Stage


@pytest.fixture(scope="package")
def local() -> Iterator[LocalChain]:
    with anvil_chain() as chain:
        yield chain


@pytest.fixture
def stage(local: LocalChain, prover: Prover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    # The stage's verifier accepts everything, so it is not the pinned one.
    monkeypatch.setattr("protocol.terms.check_verifier", lambda chain, verifier: None)
    return Stage(local, prover, tmp_path)
