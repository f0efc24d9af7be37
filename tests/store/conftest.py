"""Both stores: what is tested of one must hold for the other. The IPFS one is a real Kubo node."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.devnode import DevKubo, dev_kubo
from store.interface import Store
from store.kubo import KuboStore
from store.local import ContentStore

MAX_OBJECT_BYTES = 64 << 20


@pytest.fixture(scope="session")
def node() -> Iterator[DevKubo]:
    """A node that talks to nobody, shared by the tests that do not harm it."""
    with dev_kubo() as running:
        yield running


@pytest.fixture(params=["embedded", pytest.param("kubo", marks=pytest.mark.slow)])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "embedded":
        return ContentStore(tmp_path / "objects", max_object_bytes=MAX_OBJECT_BYTES, grace_seconds=0)
    url = request.getfixturevalue("node").url
    return KuboStore(url, spool_directory=tmp_path, max_object_bytes=MAX_OBJECT_BYTES, timeout_seconds=20)
