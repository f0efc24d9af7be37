"""Typed errors of the clients. What the aggregator refuses arrives as one of `protocol.refusals`."""

from collections.abc import Iterable
from pathlib import Path


class ClientError(Exception):
    """Root of every error raised by `clients` itself."""


class AggregatorUnreachable(ClientError):
    """The aggregator did not answer, or broke off.

    Attributes:
        method: the call that was made.
        status: name of the gRPC status.
    """

    def __init__(self, method: str, status: str, details: str) -> None:
        super().__init__(f"{method}: {status}: {details}")
        self.method = method
        self.status = status


class TransportRefused(ClientError):
    """An aggregator is not spoken to like this.

    Attributes:
        field: what to set.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class InvalidReceipt(ClientError):
    """The aggregator's receipt is not over what was sent, or not signed by the task's aggregator.

    Attributes:
        field: what differs.
    """

    def __init__(self, field: str, got: object, expected: object) -> None:
        super().__init__(f"receipt.{field}: got {got}, expected {expected}")
        self.field = field


class InvalidDownload(ClientError):
    """What was downloaded is not what was announced: size, order of chunks, form."""


class InvalidTraining(ClientError, ValueError):
    """A training function returned something else than the parameters' float vector."""


class InvalidModel(ClientError, ValueError):
    """A model that cannot be trained in a market."""


class InvalidParameter(InvalidModel):
    """One parameter of a model cannot be taken, or not be set.

    Attributes:
        name: as in the model's state_dict.
        limit: what would have been accepted, in words.
    """

    def __init__(self, name: str, got: str, limit: str) -> None:
        super().__init__(f"{name}: {got}, but {limit}")
        self.name = name
        self.limit = limit


class MemoryInUse(ClientError):
    """Another process takes part with the same directory.

    Attributes:
        directory: the one that both want.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory}: another process takes part with it")
        self.directory = directory


class DamagedMemory(ClientError):
    """A file that a trainer wrote is not what it wrote.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: damaged; without it, the round is trained again")
        self.path = path


class UnknownAttack(ClientError, ValueError):
    """There is no attack of this name.

    Attributes:
        known: the names that there are.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.known = sorted(known)
        super().__init__(f"attack: got {name!r}, but it must be one of {', '.join(self.known)}")


class InvalidAttackers(ClientError, ValueError):
    """Too few, too many, or not a number of attackers.

    Attributes:
        limit: what would have been accepted, in words.
    """

    def __init__(self, got: str, limit: str) -> None:
        super().__init__(f"attack: got {got}, but {limit}")
        self.limit = limit


class ScriptError(ClientError):
    """A user's script cannot be loaded, lacks a function, or failed; the cause, if there is one, is its own error.

    Attributes:
        path: the script.
        function: what is missing, or failed; "" for the script as a whole.
    """

    def __init__(self, path: Path, function: str, reason: str) -> None:
        super().__init__(f"{path}: {function}{': ' if function else ''}{reason}")
        self.path = path
        self.function = function
