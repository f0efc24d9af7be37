"""What a running aggregator counts. Names carry their units; labels have few values: no id but the task's."""

import shutil
from collections import Counter as Counts
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from aggregator.jobs import JobState, JobView
from aggregator.records import Layer, Report, Step

_CALL_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, float("inf"))
_STEP_BUCKETS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, float("inf"))


class Metrics:
    """Of one aggregator, in a registry of its own.

    Attributes:
        registry: what a scrape reads.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.calls = Counter("merit_calls", "Calls answered", ["method", "code"], registry=registry)
        self.calls_running = Gauge("merit_calls_running", "Calls under way", ["method"], registry=registry)
        self.call_seconds = Histogram(
            "merit_call_seconds", "From a call's start to its end", ["method"], registry=registry, buckets=_CALL_BUCKETS
        )
        self.upload_bytes = Counter("merit_upload_bytes", "Bytes of chunks received", registry=registry)
        self.updates = Counter(
            "merit_updates",
            "Updates: received, or the code that refused one; later accepted or rejected by the rule",
            ["outcome"],
            registry=registry,
        )
        self.tasks = Gauge("merit_tasks", "Tasks that are served and not finished", registry=registry)
        self.round = Gauge("merit_round", "Number of the current round, from 0", ["task"], registry=registry)
        self.round_step = Gauge(
            "merit_round_step", "Last finished step of the current round, 1 (collecting) to 8", ["task"],
            registry=registry,
        )  # fmt: skip
        self.step_seconds = Histogram(
            "merit_step_seconds", "How long a round's step took", ["step"], registry=registry, buckets=_STEP_BUCKETS
        )
        self.proof_seconds = Histogram(
            "merit_proof_seconds", "How long a proof took", ["layer"], registry=registry, buckets=_STEP_BUCKETS
        )
        self.proof_jobs = Gauge("merit_proof_jobs", "Proofs waiting or being made", ["state"], registry=registry)
        self.gas_used = Counter("merit_gas_used", "Gas of the rounds' transactions", ["step"], registry=registry)
        self.chain_up = Gauge("merit_chain_up", "1 if the chain's node answers", registry=registry)
        self.chain_lag_seconds = Gauge(
            "merit_chain_head_lag_seconds", "Age of the chain's latest block", registry=registry
        )
        self.disk_free_bytes = Gauge(
            "merit_disk_free_bytes", "Room where the aggregator keeps its data", registry=registry
        )
        self.workers_resident_bytes = Gauge(
            "merit_workers_resident_bytes", "Memory of the processes that make proofs", registry=registry
        )
        self.workers_resident_bytes.set_function(_children_bytes)
        for layer in Layer:
            self.proof_seconds.labels(layer.name.lower())

    def count_jobs(self, jobs: Sequence[JobView]) -> None:
        """The jobs that there are now."""
        states = Counts(job.state for job in jobs)
        for state in JobState:
            self.proof_jobs.labels(state.name.lower()).set(states[state])

    def watch_disk(self, directory: Path) -> None:
        """Looks at the directory's file system at each scrape."""
        self.disk_free_bytes.set_function(lambda: shutil.disk_usage(directory).free)

    def finished_step(self, report: Report, details: Mapping[str, object]) -> None:
        """A round's step is done and durable."""
        step, task = report.step.name.lower(), str(report.task_id)
        self.round.labels(task).set(report.round)
        self.round_step.labels(task).set(report.step)
        if report.step != Step.COLLECTING:
            self.step_seconds.labels(step).observe(report.seconds)
        if report.gas_used:
            self.gas_used.labels(step).inc(report.gas_used)
        if report.step == Step.SETTLED:
            accepted, scores = details["accepted"], details["scores"]
            assert isinstance(accepted, list)
            assert isinstance(scores, dict)
            self.updates.labels("accepted").inc(len(accepted))
            self.updates.labels("rejected").inc(len(scores) - len(accepted))

    def finished_task(self, task_id: int) -> None:
        """Nothing of this task will change any more."""
        for gauge in (self.round, self.round_step):
            gauge.remove(str(task_id))


def _children_bytes() -> int:
    total = 0
    for child in psutil.Process().children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
