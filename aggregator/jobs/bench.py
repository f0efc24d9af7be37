"""A worker's side: makes one proof at a time and keeps it until it is asked for."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from aggregator.jobs.job import ColumnAt, Job, LinearJob, RuleJob
from circuits.commitment import Column
from circuits.errors import ProverError
from circuits.linear import update_argument
from circuits.linear.update_argument import UpdateKey
from circuits.native import Progress
from circuits.proof import Proof
from circuits.prover import Prover
from circuits.srs import Srs
from store.cid import cid_of
from store.objects import decode_model, decode_update
from store.places import is_node, store_at
from store.sealed import open_with_key


class Inputs:
    """What a job is about: bytes that were sent along, or else those of a store that the worker shares.

    Either way they are what their CIDs say.

    Args:
        place: the store's directory, or an IPFS node's URL; "" if there is none to share.
    """

    def __init__(self, place: str, sent: Iterable[bytes] = ()) -> None:
        self._sent = {cid_of(data): data for data in sent}
        shared = is_node(place) or (place and Path(place).is_dir())
        self._store = store_at(place) if shared else None

    def missing(self, cids: Sequence[bytes]) -> list[bytes]:
        """Those that have to be sent."""
        return [cid for cid in cids if cid not in self._sent and not (self._store and self._store.has(cid))]

    def column(self, at: ColumnAt, job: LinearJob) -> Column:
        data = self._read(at.cid)
        if at.key is not None:
            data = open_with_key(data, at.key)
        return decode_update(data, job.dim, job.fmt) if at.form == "update" else decode_model(data, job.dim)

    def _read(self, cid: bytes) -> bytes:
        if cid in self._sent:
            return self._sent[cid]
        if self._store is None:
            raise ProverError("inputs: this worker sees no content store, and was sent too little")
        return self._store.get(cid)


class Bench:
    """Keeps libraries and strings at hand between jobs.

    Args:
        prover: of this process's own.
    """

    def __init__(self, prover: Prover) -> None:
        self._prover = prover
        self._strings: dict[int, Srs] = {}
        self._made: Proof | None = None

    def make(self, job: Job, inputs: Inputs, progress: Progress) -> None:
        """Makes the proof, verified, which stays here: the parent counts it first, where that is needed."""
        self._made = None
        self._made = self._argue(job, inputs, progress) if isinstance(job, LinearJob) else self._prove(job)

    def take(self) -> Proof:
        """The proof that was made last, once."""
        proof, self._made = self._made, None
        if proof is None:
            raise ProverError("take: no proof waits here")
        return proof

    def _argue(self, job: LinearJob, inputs: Inputs, progress: Progress) -> Proof:
        return update_argument.prove(
            self._string(job.logrows),
            UpdateKey(data=job.key),
            context=job.context,
            columns=(inputs.column(at, job) for at in job.columns),
            points=job.points,
            progress=progress,
        )

    def _prove(self, job: RuleJob) -> Proof:
        found = self._prover.keys(job.circuit).vka_digest
        if found != job.vka_digest:
            raise ProverError(
                f"keys: the task pins {job.vka_digest.hex()}, this worker derives {found.hex()}: another string, or "
                "another version"
            )
        return self._prover.prove(job.circuit, job.inputs)

    def _string(self, logrows: int) -> Srs:
        if logrows not in self._strings:
            self._strings[logrows] = self._prover.srs(logrows)
        return self._strings[logrows]
