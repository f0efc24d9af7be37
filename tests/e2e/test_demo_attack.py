"""The demo with an attack that a user names: attackers are processes like any other, and the market runs its course."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clients.bundle import Bundle
from clients.demo.summary import Summary
from clients.verify import verify_bundle

pytestmark = pytest.mark.slow


def test_two_colluders_and_a_free_rider(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    attacks = ["--attack", "alie:2", "--attack", "free_rider:1"]
    command = [sys.executable, "-m", "clients", "demo", "--out", str(out), "--rounds", "1", *attacks, "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=900, env=os.environ | {"COLUMNS": "120"}, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    summary = Summary.model_validate_json(done.stdout)
    roles = [t.role for t in summary.trainers]
    assert sorted(roles) == ["alie", "alie", "free_rider", *["honest"] * 5]
    # In the first round a free-rider has nothing to send, and nothing is what its update is worth.
    assert [t.score for t in summary.trainers if t.role == "free_rider"] == [0]
    # The two send the same values, so the rule cannot tell them apart.
    first, second = (t for t in summary.trainers if t.role == "alie")
    assert (first.accepted_rounds, first.score, first.paid) == (second.accepted_rounds, second.score, second.paid)
    entries = Bundle(out).round(0).entries
    points = [e.point for e in entries if e.trainer in (first.address, second.address)]
    assert len(set(points)) == 2
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")
    assert verify_bundle(Bundle(out)).ok
