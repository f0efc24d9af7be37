"""A bounded run of the coverage-guided fuzzer; `make fuzz-wire` runs it for longer."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_arbitrary_bytes_do_the_server_no_harm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.wire", "-runs=300", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Done 300 runs" in done.stderr, done.stdout[-3000:] + done.stderr[-3000:]
    assert not list(tmp_path.iterdir())
