"""Keys come from where only their owner can read, and are never quoted."""

import os
import stat
from pathlib import Path

import pytest
from eth_account import Account

from process.errors import KeyFileError
from process.keyfile import create_key_file, load_account

KEY = "0x" + "ab" * 32
ADDRESS = Account.from_key(KEY).address


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("text", [KEY, KEY[2:], KEY + "\n", f"  {KEY}\n"])
def test_forms_of_a_key(text: str, tmp_path: Path) -> None:
    assert load_account(write(tmp_path / "key", text)).address == ADDRESS


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="others can read it"):
        load_account(write(tmp_path / "key", KEY, mode))


@pytest.mark.parametrize("text", ["", "0x", "ab" * 31, "ab" * 33, "zz" * 32, "00" * 32, "ff" * 32, "ab " * 200])
def test_what_is_no_key_is_not_quoted(text: str, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError) as caught:
        load_account(write(tmp_path / "key", text))
    assert len(text) < 4 or text[:4] not in str(caught.value).replace(str(tmp_path), "")
    assert caught.value.__cause__ is None


def test_missing_or_irregular_files(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        load_account(tmp_path / "missing")
    with pytest.raises(KeyFileError):
        load_account(tmp_path)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERIT_PRIVATE_KEY", KEY)
    assert load_account().address == ADDRESS
    monkeypatch.setenv("MERIT_PRIVATE_KEY", "nonsense")
    with pytest.raises(KeyFileError) as caught:
        load_account()
    assert "nonsense" not in str(caught.value)
    monkeypatch.delenv("MERIT_PRIVATE_KEY")
    with pytest.raises(KeyFileError, match="MERIT_PRIVATE_KEY"):
        load_account()


def test_new_keys_differ_and_are_private(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        first, second = create_key_file(tmp_path / "a"), create_key_file(tmp_path / "b")
    finally:
        os.umask(previous)
    assert first.address != second.address
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert load_account(tmp_path / "a").address == first.address


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    create_key_file(tmp_path / "a", KEY)
    with pytest.raises(KeyFileError):
        create_key_file(tmp_path / "a")
    assert load_account(tmp_path / "a").address == ADDRESS
