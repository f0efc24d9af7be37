"""Local chains as processes."""

import subprocess
import sys
from pathlib import Path

import pytest
from web3.types import RPCEndpoint

from contracts.bindings.chain import Chain
from contracts.bindings.devchain import anvil_chain
from contracts.bindings.errors import ChainUnavailable

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["anvil_chain", "embedded_chain"])
def test_a_chain_ends_with_its_parent_however_that_ends(kind: str) -> None:
    program = f"""
import os
from contracts.bindings.devchain import {kind}
with {kind}() as local:
    print(local.rpc_url, flush=True)
    os._exit(3)
"""
    # Returns only when nobody holds the pipes any more.
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 3, ended.stderr
    with pytest.raises(ChainUnavailable):
        Chain(ended.stdout.strip(), timeout_seconds=1)


def test_a_chain_leaves_nothing_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """States that it does not keep in memory would go below the home directory, and stay there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with anvil_chain() as local:
        chain = Chain(local.rpc_url)
        chain.w3.provider.make_request(RPCEndpoint("anvil_mine"), [1100])
        assert chain.block_number() == 1100
        assert chain.now_seconds() > 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
