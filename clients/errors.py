"""Typed errors of the clients. What the aggregator refuses arrives as one of `protocol.refusals`."""

from collections.abc import Iterable


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
