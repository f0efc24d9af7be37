"""Typed errors of `process`."""


class ConfigurationError(Exception):
    """A configuration file is missing, malformed, or a field of it is not allowed.

    Attributes:
        field: the offending field, or "" where the whole file is.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class KeyFileError(Exception):
    """A private key cannot be had from where it should be. No message ever holds any part of a key."""


class PasswordMissing(KeyFileError):
    """A keystore is locked, and nothing here knows its password."""


class WrongPassword(KeyFileError):
    """The password does not open the keystore."""


class CertificateError(Exception):
    """A certificate or its key cannot be made, written or read. No message ever holds any part of a key."""
