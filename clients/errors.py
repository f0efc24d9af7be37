"""Typed errors of the clients. What the aggregator refuses arrives as one of `protocol.refusals`."""


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
