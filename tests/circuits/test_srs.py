import hashlib
from pathlib import Path

import pytest

from circuits import srs as srs_module
from circuits.commitment import commit, empty_column
from circuits.errors import ProofCancelled, SrsError
from circuits.fixedpoint import FixedPoint
from circuits.linear import update_argument
from circuits.prover import Prover
from circuits.srs import Srs, file_name, generate


@pytest.fixture(scope="session")
def tiny(prover: Prover, tmp_path_factory: pytest.TempPathFactory) -> Srs:
    with Prover(srs_directory=tmp_path_factory.mktemp("srs")) as other:
        return other.ensure_test_srs(4)


def test_a_string_is_generated_once_and_is_random(tiny: Srs, tmp_path: Path) -> None:
    with Prover(srs_directory=tmp_path) as prover:
        first = prover.ensure_test_srs(4).digest
        assert prover.ensure_test_srs(4).digest == first
    assert first != tiny.digest == hashlib.sha256(tiny.path.read_bytes()).hexdigest()


def test_a_test_string_without_its_side_file_is_replaced_where_proofs_need_it(tmp_path: Path) -> None:
    with Prover(srs_directory=tmp_path) as prover:
        first = prover.ensure_test_srs(4, provable=True).digest
        assert prover.ensure_test_srs(4, provable=True).digest == first
        (tmp_path / "kzg4.next").unlink()
        assert prover.ensure_test_srs(4).digest == first
        replaced = prover.ensure_test_srs(4, provable=True)
    assert replaced.digest != first
    assert replaced.is_provable


def test_a_generated_string_is_refused_off_local_chains(tiny: Srs) -> None:
    assert tiny.is_test_only
    tiny.require_allowed(chain_is_local=True)
    with pytest.raises(SrsError, match="forge"):
        tiny.require_allowed(chain_is_local=False)


def test_the_ceremonys_file_is_allowed_anywhere(tiny: Srs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(srs_module.CEREMONY_SHA256, 4, tiny.digest)
    tiny.require_allowed(chain_is_local=False)


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


def test_a_check_finds_one_wrong_point(tiny: Srs, tmp_path: Path) -> None:
    tiny.check()
    raw = tiny.path.read_bytes()
    for at in (5, 4 + 64 * 16 + 3):
        path = tmp_path / file_name(4)
        # Another point of the string, so that it is on the curve.
        path.write_bytes(_edited(tiny, 4 + 64 * (at // 64), raw[4 + 64 : 4 + 128]))
        with pytest.raises(SrsError):
            Srs.find(tmp_path, 4).check()


def test_a_check_can_be_cancelled(tiny: Srs) -> None:
    with pytest.raises(ProofCancelled):
        tiny.check(lambda stage, done, total: False)


def test_a_string_is_never_overwritten(tiny: Srs) -> None:
    before = tiny.path.read_bytes()
    with pytest.raises(SrsError, match="already"):
        generate(tiny.path, 4)
    assert tiny.path.read_bytes() == before


def test_proofs_need_the_side_file(tmp_path: Path) -> None:
    srs = generate(tmp_path / file_name(10), 10)
    assert srs.is_provable
    (tmp_path / "kzg10.next").unlink()
    bare = Srs.find(tmp_path, 10)
    assert not bare.is_provable
    fmt = FixedPoint(bits=4, fraction_bits=0)
    column = empty_column(3, fmt)
    key = update_argument.make_key(bare, dim=3, bits=4)
    with pytest.raises(SrsError):
        update_argument.prove(bare, key, context=bytes(32), columns=[column], points=[commit(column, bare)])
    with pytest.raises(SrsError):
        bare.extend_from(generate(tmp_path / file_name(11), 11))  # of another tau


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SrsError, match="merit srs generate"):
        Srs.find(tmp_path, 4)
