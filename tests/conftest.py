"""What all tests share: one prover a session, so that keys are made once."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from circuits.prover import Prover
from circuits.srs import Srs

settings.register_profile("default", deadline=None)
settings.load_profile("default")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def prover() -> Iterator[Prover]:
    with Prover() as shared:
        for k in (10, 11):
            shared.ensure_test_srs(k, provable=True)
        shared.ensure_test_srs(13)
        yield shared


@pytest.fixture(scope="session")
def srs(prover: Prover) -> Srs:
    """The demo's domain of 2^11 rows."""
    return prover.srs(11)
