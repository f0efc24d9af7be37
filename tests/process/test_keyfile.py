"""Keys come from where only their owner can read, and are never quoted."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from eth_account import Account

from process.errors import KeyFileError, PasswordMissing, WrongPassword
from process.keyfile import create_key_file, create_keystore, load_account
from process.passwords import choose_password, find_password

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


PASSWORD = "correct horse battery"


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    """A keystore that opens faster than the usual one."""
    create_keystore(tmp_path / "keystore", PASSWORD, scrypt_n=2)
    return tmp_path / "keystore"


@pytest.fixture(autouse=True)
def _no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MERIT_PASSWORD", raising=False)


def test_a_keystore_opens_with_its_password(keystore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_file = load_account(keystore, password_file=write(tmp_path / "password", PASSWORD + "\n"))
    monkeypatch.setenv("MERIT_PASSWORD", PASSWORD)
    from_environment = load_account(keystore)
    assert from_file.address == from_environment.address
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    document = json.loads(keystore.read_text())
    assert document["version"] == 3
    assert document["crypto"]["kdf"] == "scrypt"
    assert from_file.key.hex() not in keystore.read_text()


def test_a_new_keystore_costs_what_is_usual(tmp_path: Path) -> None:
    account = create_keystore(tmp_path / "a", PASSWORD)
    assert json.loads((tmp_path / "a").read_text())["crypto"]["kdfparams"]["n"] == 1 << 18
    with pytest.raises(KeyFileError):
        create_keystore(tmp_path / "a", PASSWORD)
    assert load_account(tmp_path / "a", password_file=write(tmp_path / "p", PASSWORD)).address == account.address


def test_another_password_does_not_open_it(keystore: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongPassword) as caught:
        load_account(keystore, password_file=write(tmp_path / "password", "another secret"))
    assert "another secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_without_a_terminal_nobody_is_asked(keystore: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    with pytest.raises(PasswordMissing, match="MERIT_PASSWORD"):
        load_account(keystore)


def test_at_a_terminal_the_password_is_asked_for(keystore: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: PASSWORD if str(keystore) in prompt else "")
    assert load_account(keystore).address


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_password_that_others_can_read_is_refused(mode: int, keystore: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="others can read it"):
        load_account(keystore, password_file=write(tmp_path / "password", PASSWORD, mode))


@pytest.mark.parametrize("text", ["", "\n", "x" * 1025])
def test_what_is_no_password(text: str, keystore: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="1 to 1024"):
        load_account(keystore, password_file=write(tmp_path / "password", text))


def test_a_password_from_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, PASSWORD.encode() + b"\n")
    os.close(writing)
    assert find_password("it", Path(f"/dev/fd/{reading}")) == PASSWORD
    os.close(reading)


@pytest.mark.parametrize(
    "change",
    [
        {"crypto": None},
        {"version": 7},
        {"crypto": {"kdf": "none", "kdfparams": {}}},
        {"crypto": {"kdf": "scrypt", "kdfparams": {"n": 1 << 30, "r": 8}}},
    ],
)
def test_broken_keystores(change: dict[str, object], keystore: Path, tmp_path: Path) -> None:
    broken = write(tmp_path / "broken", json.dumps(json.loads(keystore.read_text()) | change))
    with pytest.raises(KeyFileError, match=str(broken)) as caught:
        load_account(broken, password_file=write(tmp_path / "password", PASSWORD))
    assert not isinstance(caught.value, WrongPassword)


def test_a_password_is_chosen_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter([PASSWORD, PASSWORD, PASSWORD, PASSWORD + "x", "short", "short"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    assert choose_password() == PASSWORD
    with pytest.raises(KeyFileError, match="differ"):
        choose_password()
    with pytest.raises(KeyFileError, match="at least 8"):
        choose_password()
    assert choose_password(write(tmp_path / "password", PASSWORD)) == PASSWORD


def test_no_secret_is_in_a_traceback_or_a_log_line(keystore: Path, tmp_path: Path) -> None:
    """Whoever logs a failure, with JSON lines or for eyes, tells neither password nor key."""
    key = write(tmp_path / "hex", KEY)
    write(tmp_path / "password", "a wrong password")
    program = f"""
from pathlib import Path
from process import logs
from process.keyfile import load_account
directory = Path({str(tmp_path)!r})
account = load_account(directory / "hex")
for human in (False, True):
    logs.configure("debug", human=human)
    try:
        load_account(directory / "keystore", password_file=directory / "password")
    except Exception as error:
        logs.get(account=account).error("failed", exc_info=error)
load_account(directory / "keystore", password_file=directory / "password")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    written = done.stdout + done.stderr
    assert written.count("WrongPassword") >= 3
    assert "Traceback" in done.stderr
    for secret in ("a wrong password", KEY.removeprefix("0x"), key.read_text()):
        assert secret not in written
