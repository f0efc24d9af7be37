"""`merit srs`: strings are made, checked, extended and told apart."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from circuits.srs import Srs
from clients.cli import app
from process.exits import Exit


def run(*command: str | Path) -> Result:
    return CliRunner().invoke(app, ["srs", *map(str, command)])


@pytest.fixture
def string(tmp_path: Path) -> Path:
    assert run("generate", 10, "--directory", tmp_path).exit_code == 0
    return tmp_path / "kzg10.srs"


def test_made_and_checked(string: Path) -> None:
    told = json.loads(run("check", string, "--json").stdout)
    assert told == {
        "file": str(string),
        "k": 10,
        "sha256": Srs(string).digest,
        "test_only": True,
        "provable": True,
    }
    assert "for tests only" in run("check", string).stdout


def test_never_overwritten(string: Path) -> None:
    before = string.read_bytes()
    done = run("generate", 10, "--directory", string.parent)
    assert (done.exit_code, string.read_bytes()) == (Exit.PROVER, before)
    assert "already" in done.stderr


def test_the_side_file_comes_from_a_larger_string_of_the_same_tau(string: Path, tmp_path: Path) -> None:
    string.with_suffix(".next").unlink()
    assert "--extend-from" in run("check", string).stdout
    run("generate", 11, "--directory", tmp_path / "other")
    done = run("check", string, "--extend-from", tmp_path / "other" / "kzg11.srs")
    assert done.exit_code == Exit.PROVER
    assert not Srs(string).is_provable


def test_an_edited_string_is_refused(string: Path) -> None:
    raw = bytearray(string.read_bytes())
    raw[4 + 64 * 3 : 4 + 64 * 4] = raw[4 + 64 * 2 : 4 + 64 * 3]
    string.write_bytes(bytes(raw))
    done = run("check", string)
    assert done.exit_code == Exit.PROVER
    assert done.stderr.startswith("merit: kzg10.srs")


def test_no_string_at_all(tmp_path: Path) -> None:
    (tmp_path / "x.srs").write_bytes(b"none")
    assert run("check", tmp_path / "x.srs").exit_code == Exit.PROVER
