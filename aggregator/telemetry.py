"""What a running aggregator shows of itself: metrics, traces, and the ids in its log lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aggregator.metrics import Metrics
from aggregator.records import Layer
from process import logs
from process.tracing import Tracer


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """Shared by every part of one aggregator."""

    metrics: Metrics = field(default_factory=Metrics)
    traces: Tracer = field(default_factory=Tracer)

    @contextmanager
    def step(self, task_id: int, round: int, name: str) -> Iterator[None]:
        """Around a step of a round: its lines say which task and round they are about, its span holds its proof's."""
        with (
            logs.bound(task=task_id, round=round),
            self.traces.span(f"round.{name}", **{"merit.task": task_id, "merit.round": round}),
        ):
            yield

    @contextmanager
    def proof(self, layer: Layer) -> Iterator[None]:
        """Around the making of a proof; one that fails is not counted."""
        name, started_at = layer.name.lower(), time.monotonic()
        with self.traces.span(f"proof.{name}"):
            yield
        self.metrics.proof_seconds.labels(name).observe(time.monotonic() - started_at)
