"""What runs jobs: seats, each of them a worker process, here or on a cluster."""

from collections.abc import Callable, Sequence
from typing import Protocol

from aggregator.jobs.job import Job
from circuits.proof import Proof

Report = Callable[[str, int, int], None]
"""Called, from any thread, as (stage, steps done, steps in all)."""

SILENCE_SECONDS = 1800.0
"""A worker that is not heard of for so long hangs: no step of a proof takes longer on the reference machine."""


class Seat(Protocol):
    """One worker process, which runs one job at a time.

    Attributes:
        name: for logs.
        machine: where it is. budget_bytes: what proofs may take there together.
    """

    @property
    def name(self) -> str: ...

    machine: str
    budget_bytes: int

    async def make(self, job: Job, report: Report) -> None:
        """Makes the proof, which stays in the worker.

        Raises:
            WorkerLost: the worker died, hung or was killed.
            CircuitError: what the proof's own code raised; ProofCancelled after `stop`.
        """

    async def take(self) -> Proof:
        """The proof that was made, out of the worker (WorkerLost: and it is gone)."""

    def stop(self) -> None:
        """Asks the job under way to end at its next step."""

    def kill(self) -> None:
        """Ends the worker at once."""

    async def replace(self) -> None:
        """After a loss: another worker (WorkerLost: there is none to be had now)."""


class Pool(Protocol):
    """Attributes:
    elsewhere: its workers are on other machines, whose proofs are verified again.
    """

    elsewhere: bool

    async def open(self) -> Sequence[Seat]:
        """Its seats, ready.

        Raises:
            ConfigurationError: there is no such pool.
        """

    def close(self) -> None:
        """Ends every worker; blocks until they are gone."""
