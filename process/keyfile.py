"""Private keys: from Ethereum keystores, from files that only their owner can read, or from the environment; never from
arguments."""

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from process.errors import KeyFileError, WrongPassword
from process.passwords import find_password

VARIABLE = "MERIT_PRIVATE_KEY"
_KEY_BYTES = 32
_MAX_FILE_BYTES = 4096
# Of scrypt, in bytes: 128 * n * r. The usual keystore takes 256 MiB.
_MAX_MEMORY_BYTES = 1 << 30


def load_account(
    path: Path | None = None, *, password_file: Path | None = None, variable: str = VARIABLE
) -> LocalAccount:
    """The account of a keystore or key file (hex, with or without 0x), or of an environment variable if none is given.

    Args:
        password_file: holds a keystore's password; see `find_password` for where it is from otherwise.
    Raises:
        KeyFileError: missing, not a key, or readable by others than its owner.
        PasswordMissing, WrongPassword: a keystore stays locked.
    """
    if path is not None:
        text = _read(path)
        if text.lstrip().startswith("{"):
            return _opened(text, path, find_password(str(path), password_file))
        return _account(text, str(path))
    given = os.environ.get(variable)
    if given is None:
        raise KeyFileError(f"no key: give a key file, or set {variable}")
    return _account(given, variable)


def create_keystore(path: Path, password: str, *, scrypt_n: int | None = None) -> LocalAccount:
    """Writes a new key, encrypted (keystore version 3, scrypt), to a new file that only its owner can read.

    Args:
        scrypt_n: cost of each guess at the password; by default the usual 2^18.
    Raises:
        KeyFileError: the file exists, or cannot be written.
    """
    account: LocalAccount = Account.from_key(secrets.token_bytes(_KEY_BYTES))
    keystore = Account.encrypt(account.key, password, kdf="scrypt", iterations=scrypt_n)
    _write_new(path, json.dumps(keystore))
    return account


def create_key_file(path: Path, private_key: str | None = None) -> LocalAccount:
    """Writes a key in the clear, a new one unless it is given, to a new file that only its owner can read.

    Raises:
        KeyFileError: the file exists, or the key is none.
    """
    text = private_key or "0x" + secrets.token_bytes(_KEY_BYTES).hex()
    account = _account(text, "private_key")
    _write_new(path, text)
    return account


def _write_new(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeyFileError(f"{path}: not a regular file")
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyFileError(f"{path}: others can read it; run chmod 600 on it")
            return file.read(_MAX_FILE_BYTES).decode("ascii", "replace")
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error


def _opened(text: str, path: Path, password: str) -> LocalAccount:
    """The account of a keystore. What the library says never leaves here: it could quote what it was given."""
    try:
        keystore = json.loads(text)
        affordable = _affordable(keystore)
    except Exception:
        raise KeyFileError(f"{path}: not a keystore") from None
    if not affordable:
        raise KeyFileError(f"{path}: opening it would take over {_MAX_MEMORY_BYTES >> 20} MiB of memory")
    try:
        key = bytes(Account.decrypt(keystore, password))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise WrongPassword(f"{path}: the password does not open it") from None
        raise KeyFileError(f"{path}: not a keystore of version 3") from None
    except Exception:
        raise KeyFileError(f"{path}: not a keystore of version 3") from None
    return _account(key.hex(), str(path))


def _affordable(keystore: dict[str, Any]) -> bool:
    parameters = {name.lower(): value for name, value in keystore.items()}["crypto"]["kdfparams"]
    return 128 * int(parameters.get("n", 0)) * int(parameters.get("r", 0)) <= _MAX_MEMORY_BYTES


def _account(text: str, where: str) -> LocalAccount:
    try:
        raw = bytes.fromhex(text.strip().removeprefix("0x"))
        if len(raw) != _KEY_BYTES:
            raise ValueError
        account: LocalAccount = Account.from_key(raw)
    except Exception:  # whatever the library says could quote the key
        raise KeyFileError(f"{where}: holds no private key of {_KEY_BYTES} bytes in hex") from None
    return account
