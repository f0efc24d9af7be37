"""What can be seen of jobs from outside: nothing in it is secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class JobState(IntEnum):
    """The numbers are those of the wire's `JobState`."""

    QUEUED = 1
    RUNNING = 2
    ENDING = 3
    """Nobody waits for it any more; its worker is free once it has noticed."""


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A job at a moment.

    Attributes:
        job_id: grows with each job of this process.
        kind: linear or rule.
        queue_place: 1 for the job that starts next; 0 once it has started.
        stage, done, total: as its worker last told; "", 0 and 0 where it has not, or cannot.
        attempt: 1, and more if workers were lost.
        memory_bytes: what admission counts it for.
        worker: the process that runs it, or "".
        waited_seconds: in the queue. seconds: since its worker began.
    """

    job_id: int
    kind: str
    task_id: int
    round: int
    state: JobState
    queue_place: int
    stage: str
    done: int
    total: int
    attempt: int
    memory_bytes: int
    worker: str
    waited_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How many jobs of a kind have ended one way, and how long their workers took in all."""

    count: int = 0
    seconds: float = 0.0

    def and_one(self, seconds: float) -> "Ended":
        return Ended(count=self.count + 1, seconds=self.seconds + seconds)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All of it at a moment.

    Attributes:
        version: grows with each change.
        jobs: those that have not ended, in the order in which they came.
        ended: by kind, and by outcome: proven, failed, cancelled or lost (its worker; it was begun again).
        budget_bytes, held_bytes: by machine, what jobs may take together and what running ones are counted for.
    """

    version: int
    jobs: tuple[JobView, ...]
    ended: Mapping[tuple[str, str], Ended]
    budget_bytes: Mapping[str, int]
    held_bytes: Mapping[str, int]
