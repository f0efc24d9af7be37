"""What was compiled, and what must not be taken for it."""

import json
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from contracts.bindings import ArtifactMissing, artifacts


@pytest.fixture
def empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "contracts"
    (root / "build").mkdir(parents=True)
    monkeypatch.setattr(artifacts, "ROOT", root)
    for loader in (artifacts.forge, artifacts.market, artifacts.verifier, artifacts.verifier_code_hash):
        loader.cache_clear()
        monkeypatch.setattr(artifacts, loader.__name__, loader.__wrapped__)
    return root


def test_the_pinned_verifier_is_loaded() -> None:
    assert keccak(artifacts.verifier().runtime) == artifacts.verifier_code_hash()


def test_the_market_fits_the_code_limit() -> None:
    assert len(artifacts.market().runtime) <= 24_576


def test_missing_artifacts_say_what_to_do(empty_project: Path) -> None:
    with pytest.raises(ArtifactMissing, match=r"contracts/out/Market.sol/Market.json: .*make setup"):
        artifacts.market()
    with pytest.raises(ArtifactMissing, match=r"Halo2VerifierReusable.json"):
        artifacts.verifier()


def test_a_broken_artifact_is_as_good_as_none(empty_project: Path) -> None:
    (empty_project / "build" / "Halo2VerifierReusable.json").write_text("{")
    with pytest.raises(ArtifactMissing):
        artifacts.verifier()


def test_another_verifier_is_refused(empty_project: Path) -> None:
    path = empty_project / "build" / "Halo2VerifierReusable.json"
    path.write_text(json.dumps({"abi": [], "bytecode": "0x00", "runtime": "0x01"}))
    (empty_project / "verifier.lock.json").write_text(json.dumps({"runtimeKeccak256": "0x" + keccak(b"\x02").hex()}))
    with pytest.raises(ArtifactMissing, match="not the one"):
        artifacts.verifier()
    (empty_project / "verifier.lock.json").write_text(json.dumps({"runtimeKeccak256": "0x" + keccak(b"\x01").hex()}))
    assert artifacts.verifier().runtime == b"\x01"
