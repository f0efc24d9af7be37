"""Typed errors of the aggregator itself. What it refuses to callers is in `protocol.refusals`."""

from process.errors import ConfigurationError


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


class StateTooNew(AggregatorError, ConfigurationError):
    """The database was written by a later version of this program, which alone knows what is in it.

    Attributes:
        found: its revision. latest: the last one that is known here.
    """

    def __init__(self, *, found: str, latest: str) -> None:
        message = f"state_url: the database has revision {found}, and this version knows those up to {latest}"
        ConfigurationError.__init__(self, f"{message}; run the version that wrote it, or restore a backup", "state_url")
        self.found = found
        self.latest = latest


class StateInUse(AggregatorError, ConfigurationError):
    """Another process has the database open: two would commit and settle the same rounds."""

    def __init__(self, where: str) -> None:
        ConfigurationError.__init__(self, f"state_url: another aggregator is running on {where}", "state_url")


class StateTakenOver(AggregatorError):
    """Another process has opened the database since this one did, which must not act any more."""


class StateUnavailable(AggregatorError):
    """The database does not answer, or not in time; nothing was written."""


class TakenBack(AggregatorError):
    """A reorganisation of the chain took back what a step rests on: the machine goes on from before it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the chain took back {what}")


class ChainBehind(AggregatorError):
    """The node has not reached a block that was there before: it is catching up, or another one answers."""


class DeepReorg(AggregatorError):
    """The chain has replaced a block that was taken for final. Nothing more is sent.

    Attributes:
        number: of the block. depth_blocks: how deep it was at least.
    """

    def __init__(self, number: int, depth_blocks: int) -> None:
        super().__init__(
            f"block {number} was {depth_blocks} blocks deep, and the chain now has another one in its place; if the "
            "node is on a wrong chain, set rpc_url to one that is not, else set reorg_depth_blocks above "
            f"{depth_blocks} by as much as the chain went back, and start again"
        )
        self.number = number
        self.depth_blocks = depth_blocks


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
