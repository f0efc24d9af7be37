"""The benchmark measures what it says: real modules, proofs that verify, gas on a real EVM, JSON."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks import models
from benchmarks.models import MODELS, dim_of
from clients.cli import app


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_counted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, image, expected = MODELS[name]
    assert dim_of(name) == expected
    monkeypatch.setitem(models.MODELS, name, (make, image, expected + 1))
    with pytest.raises(AssertionError):
        dim_of(name)


@pytest.mark.slow
def test_a_line_of_each_kind() -> None:
    command = ["bench", "--models", "softmax", "--slots", "3", "--bits", "4", "--ezkl-dim", "40", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    [line] = document["update_argument"]
    assert (line["model"], line["dim"], line["slots"], line["bits"], line["logrows"]) == ("softmax", 7850, 3, 4, 14)
    # 3 digit points, Z, three quotients, two openings, and 3 + 3 + 3 evaluations.
    assert line["proof_bytes"] == 64 * (3 + 4 + 2) + 32 * 9
    assert line["gas"] > 200_000
    assert all(line[name] > 0 for name in ("key_seconds", "commit_seconds", "prove_seconds", "peak_mib"))
    assert document["ezkl"]["dim"] == 40
    assert document["ezkl"]["ratio"]["softmax"] > 0


@pytest.mark.parametrize(("option", "value"), [("--models", "vgg"), ("--bits", "5")])
def test_what_cannot_be_measured_is_named(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = CliRunner().invoke(app, ["bench", option, value])
    assert done.exit_code == 1
    assert value in done.stderr
