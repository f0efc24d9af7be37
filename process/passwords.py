"""Passwords of keystores: from a file that only its owner can read, the environment, or a prompt; never an argument."""

import getpass
import os
import stat
import sys
from pathlib import Path

from process.errors import KeyFileError, PasswordMissing

VARIABLE = "MERIT_PASSWORD"
MIN_CHARACTERS = 8
_MAX_BYTES = 1024


def find_password(what: str, password_file: Path | None = None) -> str:
    """The password that opens `what`: from the file, else the environment, else whoever sits at the terminal.

    Raises:
        PasswordMissing: none of them has one.
        KeyFileError: the file cannot be used.
    """
    if password_file is not None:
        return read_password(password_file)
    if VARIABLE in os.environ:
        return os.environ[VARIABLE]
    if not sys.stdin.isatty():
        raise PasswordMissing(f"{what} is locked: set password_file, or {VARIABLE}, or run it in a terminal")
    return getpass.getpass(f"Password of {what}: ")


def choose_password(password_file: Path | None = None) -> str:
    """A password for a new keystore: asked for twice, unless a file holds it.

    Raises:
        KeyFileError: it is too short, or the two differ.
        PasswordMissing: there is neither a file nor a terminal.
    """
    if password_file is not None:
        chosen = read_password(password_file)
    elif not sys.stdin.isatty():
        raise PasswordMissing("no password for the new key: name a --password-file, or run it in a terminal")
    else:
        chosen = getpass.getpass("New password: ")
        if getpass.getpass("Again: ") != chosen:
            raise KeyFileError("the two passwords differ; nothing was written")
    if len(chosen) < MIN_CHARACTERS:
        raise KeyFileError(f"the password has {len(chosen)} characters, but it must have at least {MIN_CHARACTERS}")
    return chosen


def read_password(path: Path) -> str:
    """The first line of a file, or of a pipe such as /dev/fd/3.

    Raises:
        KeyFileError: missing, empty, too long, or readable by others than its owner.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
                raise KeyFileError(f"{path}: neither a file nor a pipe")
            if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyFileError(f"{path}: others can read it; run chmod 600 on it")
            line = file.readline(_MAX_BYTES + 1).rstrip(b"\r\n")
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    if not line or len(line) > _MAX_BYTES:
        raise KeyFileError(f"{path}: its first line must hold a password of 1 to {_MAX_BYTES} bytes")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise KeyFileError(f"{path}: the password is not UTF-8") from None
