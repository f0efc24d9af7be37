"""Local chains as processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from contracts.bindings.chain import Chain
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
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 3, ended.stderr
    with pytest.raises(ChainUnavailable):
        Chain(ended.stdout.strip(), timeout_seconds=1)
