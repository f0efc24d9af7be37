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


class TooManyProofs(AggregatorError):
    """A commitment has had all the update arguments that it may have: another could show what it hides.

    Attributes:
        point_x: x of the commitment. count: how many there were.
    """

    def __init__(self, point: tuple[int, int], count: int) -> None:
        super().__init__(f"commitment with x {point[0]:#x}: {count} proofs are about it, and no more are made")
        self.point_x = point[0]
        self.count = count


class Stopping(AggregatorError):
    """The process has been asked to stop; the task goes on where it is when the process is back."""


class JobTooLarge(AggregatorError):
    """A proof takes more memory than any machine has for proofs.

    Attributes:
        need_bytes: what it takes at most. limit_bytes: the most that a machine has.
    """

    def __init__(self, need_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"proof: it may take {need_bytes >> 20} MiB of memory, and no machine has more than {limit_bytes >> 20} MiB"
            " for proofs (proof_memory_bytes)"
        )
        self.need_bytes = need_bytes
        self.limit_bytes = limit_bytes


class WorkerLost(AggregatorError):
    """A worker process died, was not heard of for too long, or was killed; what it was making is gone."""


class JobFailed(AggregatorError):
    """Workers were lost over a proof, time and again.

    Attributes:
        kind: of the job. attempts: how many there were.
    """

    def __init__(self, kind: str, attempts: int, reason: str) -> None:
        super().__init__(f"{kind} proof: {attempts} workers were lost over it, the last because: {reason}")
        self.kind = kind
        self.attempts = attempts
