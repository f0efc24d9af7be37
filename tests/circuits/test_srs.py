import hashlib
from pathlib import Path

import pytest

from circuits import srs as srs_module
from circuits.bn254 import GENERATOR, INFINITY, scale, sum_points
from circuits.errors import FieldError, SrsError
from circuits.prover import Prover
from circuits.srs import Srs, file_name


@pytest.fixture(scope="session")
def tiny(prover: Prover, tmp_path_factory: pytest.TempPathFactory) -> Srs:
    with Prover(srs_directory=tmp_path_factory.mktemp("srs")) as other:
        return other.ensure_test_srs(4)


def test_lagrange_points_sum_to_the_generator(tiny: Srs) -> None:
    # The Lagrange basis sums to the constant 1.
    assert sum_points(tiny.lagrange(range(16))) == GENERATOR


def test_a_string_is_generated_once_and_is_random(tiny: Srs, tmp_path: Path) -> None:
    with Prover(srs_directory=tmp_path) as prover:
        first = prover.ensure_test_srs(4).digest
        assert prover.ensure_test_srs(4).digest == first
    assert first != tiny.digest == hashlib.sha256(tiny.path.read_bytes()).hexdigest()


def test_a_generated_string_is_refused_off_local_chains(tiny: Srs) -> None:
    assert tiny.is_test_only
    tiny.require_allowed(chain_is_local=True)
    with pytest.raises(SrsError, match="forge"):
        tiny.require_allowed(chain_is_local=False)


def test_the_ceremonys_file_is_allowed_anywhere(tiny: Srs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(srs_module.CEREMONY_SHA256, 4, tiny.digest)
    tiny.require_allowed(chain_is_local=False)


@pytest.mark.parametrize("rows", [[16], [-1]])
def test_rows_outside_the_domain(tiny: Srs, rows: list[int]) -> None:
    with pytest.raises(FieldError):
        tiny.lagrange(rows)


def _edited(tiny: Srs, at: int, data: bytes) -> bytes:
    raw = bytearray(tiny.path.read_bytes())
    raw[at : at + len(data)] = data
    return bytes(raw)


@pytest.mark.parametrize(
    "edit",
    [
        lambda srs: b"",
        lambda srs: srs.path.read_bytes()[:-1],
        lambda srs: srs.path.read_bytes() + b"\0",
        lambda srs: _edited(srs, 0, b"\x05"),
        lambda srs: _edited(srs, 0, b"\xff\xff\xff\xff"),
        lambda srs: _edited(srs, 4, b"\x01" * 64),
        lambda srs: _edited(srs, 4, b"\xff" * 64),
    ],
    ids=["empty", "short", "long", "other k", "huge k", "other generator", "unreduced"],
)
def test_malformed_files_are_refused(tiny: Srs, tmp_path: Path, edit) -> None:
    path = tmp_path / file_name(4)
    path.write_bytes(edit(tiny))
    with pytest.raises(SrsError):
        Srs.find(tmp_path, 4)


def test_a_point_off_the_curve_is_refused_where_it_is_used(tiny: Srs, tmp_path: Path) -> None:
    path = tmp_path / file_name(4)
    path.write_bytes(_edited(tiny, 4 + 64 * 16, b"\x01" * 64))
    with pytest.raises(FieldError):
        Srs.find(tmp_path, 4).lagrange([0])


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SrsError, match="make setup"):
        Srs.find(tmp_path, 4)


def test_identities_used_above_can_fail(tiny: Srs) -> None:
    assert sum_points(tiny.lagrange(range(15))) not in (GENERATOR, INFINITY, scale(GENERATOR, 2))
