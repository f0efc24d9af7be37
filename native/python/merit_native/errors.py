"""Every way to fail. Each error names the field, or the index, that is wrong and the limit that it broke."""


class NativeError(Exception):
    """Root of every error raised by `merit_native`."""


class FieldError(NativeError, ValueError):
    """An argument is malformed.

    Attributes:
        field: name of the offending argument.
        got: what it was, in words.
        limit: what would have been accepted, in words.
    """

    def __init__(self, field: str, got: str, limit: str) -> None:
        super().__init__(field, got, limit)
        self.field = field
        self.got = got
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.field}: got {self.got}, but {self.limit}"


class OutOfRange(NativeError, ValueError):
    """A row of a column lies outside [-limit, limit).

    Attributes:
        column: index of the column.
        row: index of the row in its domain.
        value: the integer there.
        limit: 2^(bits - 1).
    """

    def __init__(self, column: int, row: int, value: int, limit: int) -> None:
        super().__init__(column, row, value, limit)
        self.column = column
        self.row = row
        self.value = value
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"column {self.column}, row {self.row}: got {self.value}, but it must lie in [{-self.limit}, {self.limit})"
        )


class GramTooLarge(NativeError):
    """A Gram integer has a magnitude of 2^62 or more.

    Attributes:
        row: index of the one column.
        column: index of the other.
    """

    def __init__(self, row: int, column: int) -> None:
        super().__init__(row, column)
        self.row = row
        self.column = column

    def __str__(self) -> str:
        return f"gram[{self.row}][{self.column}]: its magnitude reaches 2^62"


class CommitmentMismatch(NativeError):
    """A column does not open the point that it was handed with.

    Attributes:
        column: index of the column; 0 where there is only one.
    """

    def __init__(self, column: int) -> None:
        super().__init__(column)
        self.column = column

    def __str__(self) -> str:
        return f"column {self.column}: it does not open the commitment that it was handed with"


class SrsError(NativeError):
    """A structured reference string is missing, malformed or inconsistent.

    Attributes:
        file: its name.
        reason: what is wrong, in words.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class InvalidProof(NativeError):
    """A proof does not decode, or does not hold for its statement.

    Attributes:
        reason: what is wrong, in words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"proof: {self.reason}"


class Cancelled(NativeError):
    """The progress callback answered False."""


class InternalError(NativeError):
    """Something that cannot happen did; the message says what."""
