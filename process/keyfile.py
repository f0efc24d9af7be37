"""Private keys from files that only their owner can read, or from the environment; never from arguments."""

import os
import secrets
import stat
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from process.errors import KeyFileError

_KEY_BYTES = 32
_MAX_FILE_BYTES = 256


def load_account(path: Path | None = None, *, variable: str = "MERIT_PRIVATE_KEY") -> LocalAccount:
    """The account of a key file (hex, with or without 0x), or of an environment variable if no file is given.

    Raises:
        KeyFileError: missing, not a key, or readable by others than its owner.
    """
    if path is not None:
        return _account(_read(path), str(path))
    text = os.environ.get(variable)
    if text is None:
        raise KeyFileError(f"no key: give a key file, or set {variable}")
    return _account(text, variable)


def create_key_file(path: Path, private_key: str | None = None) -> LocalAccount:
    """Writes a key, a new one unless it is given, to a new file that only its owner can read.

    Raises:
        KeyFileError: the file exists, or the key is none.
    """
    text = private_key or "0x" + secrets.token_bytes(_KEY_BYTES).hex()
    account = _account(text, "private_key")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
    return account


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


def _account(text: str, where: str) -> LocalAccount:
    try:
        raw = bytes.fromhex(text.strip().removeprefix("0x"))
        if len(raw) != _KEY_BYTES:
            raise ValueError
        account: LocalAccount = Account.from_key(raw)
    except Exception:  # whatever the library says could quote the key
        raise KeyFileError(f"{where}: holds no private key of {_KEY_BYTES} bytes in hex") from None
    return account
