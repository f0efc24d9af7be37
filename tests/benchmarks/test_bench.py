"""`merit bench` measures what it says: a real market's round, proofs that verify, gas on a real EVM, JSON."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clients.cli import app
from process.exits import Exit


def bench(*options: str) -> Result:
    return CliRunner().invoke(app, ["bench", *options])


@pytest.mark.slow
def test_a_model_end_to_end_and_a_second_run_that_measures_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.bench.EZKL_LOGROWS", (13,))
    monkeypatch.setattr("clients.bench.FULL_LOGROWS", 12)
    results, out = tmp_path / "results.jsonl", tmp_path / "out"
    options = [
        *("--model", "digits_mlp", "--slots", "4", "--bits", "4", "--runs", "2", "--compare"),
        *("--results", str(results), "--out", str(out), "--json", "--resume"),
    ]
    done = bench(*options)
    assert done.exit_code == 0, done.output
    records = {record["kind"]: record for record in json.loads(done.stdout)}
    assert records.keys() == {"rule", "round", "argument", "compared", "ezkl"}
    found = records["round"]
    assert (found["model"], found["dim"], found["logrows"], found["slots"]) == ("digits_mlp", 4810, 13, 4)
    # 4 digit points, Z, three quotients, two openings, and 4 + 4 + 3 evaluations.
    assert found["proof_bytes"]["linear"] == 64 * (4 + 4 + 2) + 32 * 11
    assert found["gas"]["settle"] > found["gas"]["verify_linear"] + found["gas"]["verify_rule"] - 100_000
    assert sum(found["share"].values()) == pytest.approx(1, abs=0.01)
    assert all(part["median"] > 0 for part in found["seconds"].values())
    assert found["seconds"]["linear_proof"]["runs"] == 2
    assert found["seconds"]["upload"]["runs"] == 8
    compared = records["compared"]
    assert (compared["whole"]["dim"], compared["last_layer"]["dim"]) == (4810, 650)
    ezkl = records["ezkl"]
    assert (ezkl["dim"], ezkl["argument"]["dim"], ezkl["full"]["dim"]) == (266, 266, 3578)
    assert ezkl["seconds"]["prove"]["runs"] == 2
    assert {"benchmarks.md", "benchmarks.json", "benchmarks.png"} == {path.name for path in out.iterdir()}

    written = results.read_text()
    assert bench(*options).exit_code == 0
    assert results.read_text() == written


@pytest.mark.slow
def test_a_profile_names_where_the_time_goes() -> None:
    done = bench("--profile", "--model", "digits_mlp", "--slots", "4", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {"quotient", "commit to quotient"} <= {cost["where"] for cost in found["native"]}
    assert any("prove" in cost["where"] for cost in found["python"])
    assert sum(cost["share"] for cost in found["native"]) < 1


@pytest.mark.parametrize(
    ("option", "value"), [("--model", "vgg"), ("--bits", "5"), ("--slots", "33"), ("--runs", "0"), ("--growth", "22")]
)
def test_what_cannot_be_measured_is_named(option: str, value: str) -> None:
    done = bench(option, value)
    assert done.exit_code == Exit.CONFIGURATION
    assert value in done.stderr
