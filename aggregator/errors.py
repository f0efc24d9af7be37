"""Typed errors of the aggregator itself. What it refuses to callers is in `protocol.refusals`."""


class AggregatorError(Exception):
    """Root of every error raised by `aggregator`."""


class Disagreement(AggregatorError):
    """Two sources that must give the same integers do not: proof, reference and chain. The task stops.

    Attributes:
        what: what differs.
    """

    def __init__(self, what: str, expected: object, found: object) -> None:
        super().__init__(f"{what}: expected {expected}, found {found}")
        self.what = what


class StateLost(AggregatorError):
    """The chain is ahead of the local state, so that a round's updates or a model are missing here."""


class Stopping(AggregatorError):
    """The process has been asked to stop; the task goes on where it is when the process is back."""
