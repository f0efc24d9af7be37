"""The whole market, as a user runs it, on both local chains: what it must show."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from clients.bundle import Bundle
from clients.demo.summary import Summary
from clients.verify import verify_bundle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    out = tmp_path_factory.mktemp(request.param) / "demo"
    command = [sys.executable, "-m", "clients", "demo", "--out", str(out), "--chain", request.param, "--json"]
    environment = os.environ | {"COLUMNS": "120"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    printed = Summary.model_validate_json(done.stdout)
    assert printed == Summary.model_validate_json((out / "summary.json").read_text())
    return out, printed


def test_attackers_are_rejected_and_paid_nothing(run: tuple[Path, Summary]) -> None:
    _, summary = run
    attackers = [t for t in summary.trainers if t.role != "honest"]
    assert sorted(t.role for t in attackers) == ["label_flip", "sign_flip"]
    for trainer in attackers:
        assert trainer.paid == "0"
        assert trainer.accepted_rounds == trainer.score == 0
        assert all(trainer.address not in r.accepted for r in summary.rounds)


def test_honest_pay_follows_shard_size(run: tuple[Path, Summary]) -> None:
    _, summary = run
    honest = [t for t in summary.trainers if t.role == "honest"]
    assert len(honest) == 6
    assert len({t.samples for t in summary.trainers}) == 8
    assert all(int(t.paid) > 0 for t in honest)
    assert spearmanr([t.samples for t in honest], [int(t.paid) for t in honest]).statistic > 0.5


def test_every_wei_is_accounted_for(run: tuple[Path, Summary]) -> None:
    _, summary = run
    assert sum(int(t.paid) for t in summary.trainers) + int(summary.remainder) == summary.reward
    for r in summary.rounds:
        total = sum(r.scores.values())
        assert total > 0
        assert set(r.accepted) == {trainer for trainer, score in r.scores.items() if score > 0}
    due = {
        t.address: sum(10**18 * r.scores[t.address] // sum(r.scores.values()) for r in summary.rounds)
        for t in summary.trainers
    }
    assert {t.address: int(t.paid) for t in summary.trainers} == due


def test_accuracy_is_that_of_honest_only_averaging(run: tuple[Path, Summary]) -> None:
    _, summary = run
    assert len(summary.rounds) == 3
    assert abs(summary.rounds[-1].accuracy - summary.baseline_accuracy[-1]) <= 0.02
    assert summary.rounds[-1].accuracy > 0.85


def test_the_model_handed_over_is_verified(run: tuple[Path, Summary]) -> None:
    assert run[1].model_verified


def test_all_of_it_verifies_again_from_files_alone(run: tuple[Path, Summary]) -> None:
    report = verify_bundle(Bundle(run[0]))
    assert report.ok, report.checks


def test_costs_are_reported(run: tuple[Path, Summary]) -> None:
    for r in run[1].rounds:
        assert set(r.gas) == {"commit", "settle", "publish"}
        assert all(gas > 21_000 for gas in r.gas.values())
        assert set(r.proof_bytes) == {"linear", "rule"}
        assert {"train and upload", "linear proof", "rule proof", "settle"} <= set(r.seconds)


def test_files_are_there_and_no_key_is(run: tuple[Path, Summary]) -> None:
    out = run[0]
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")
    assert not (out / "keys").exists()
    names = {p.name for p in (out / "logs").iterdir()}
    assert {"owner.jsonl", "aggregator.jsonl", *(f"trainer-{i}.jsonl" for i in range(1, 9))} <= names
    for log in (out / "logs").glob("*.jsonl"):
        for line in log.read_text().splitlines():
            assert "private_key" not in json.loads(line)
