from collections.abc import Iterator

import pytest

from circuits.prover import Prover
from contracts.bindings.devchain import embedded_chain
from tests.scene import Round, Scene


@pytest.fixture(scope="package")
def scene(prover: Prover) -> Iterator[Scene]:
    with embedded_chain() as local:
        yield Scene(local, prover)


@pytest.fixture(scope="package")
def proven(scene: Scene) -> Round:
    """Committed and proven, and never settled by the tests that share it."""
    return scene.committed_round(scene.open_task(), 0, seed=1)
