"""The verifier's build refuses what it does not know."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from contracts.bindings import artifacts

pytestmark = pytest.mark.slow

NAME = "Halo2VerifierReusable"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("tools/compile-verifier.mjs", f"build/{NAME}.sol", "verifier.lock.json"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(artifacts.ROOT / name, target)
    (tmp_path / "node_modules").symlink_to(artifacts.ROOT / "node_modules")
    return tmp_path


def compiled(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", project / "tools" / "compile-verifier.mjs"], capture_output=True, text=True, check=False
    )


def test_the_pinned_source_gives_the_pinned_code_anywhere(project: Path) -> None:
    done = compiled(project)
    assert done.returncode == 0, done.stderr
    assert (project / "build" / f"{NAME}.json").read_bytes() == (artifacts.ROOT / "build" / f"{NAME}.json").read_bytes()


def test_another_source_is_refused(project: Path) -> None:
    source = project / "build" / f"{NAME}.sol"
    source.write_text(source.read_text() + "\n")
    done = compiled(project)
    assert done.returncode == 1
    assert "not the pinned one" in done.stderr
    assert not (project / "build" / f"{NAME}.json").exists()


def test_other_code_is_refused(project: Path) -> None:
    lock = project / "verifier.lock.json"
    lock.write_text(json.dumps(json.loads(lock.read_text()) | {"runtimeKeccak256": "0x00"}))
    done = compiled(project)
    assert done.returncode == 1
    assert "runtimeKeccak256" in done.stderr


def test_a_missing_source_says_what_to_do(project: Path) -> None:
    (project / "build" / f"{NAME}.sol").unlink()
    done = compiled(project)
    assert done.returncode == 1
    assert "make setup" in done.stderr


def test_forge_fails_when_it_fails() -> None:
    """The npm package's launcher does not, and a build that cannot fail checks nothing."""
    done = subprocess.run(
        [artifacts.ROOT / "tools" / "forge", "test", "--no-such-flag"], capture_output=True, check=False
    )
    assert done.returncode != 0
