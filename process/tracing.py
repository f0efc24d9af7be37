"""Traces by OpenTelemetry (the extra `otel`), to where the standard OTEL_ variables say; else nothing is imported."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from process.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Span:
    """Something that takes time; of no cost where nothing is traced."""

    def __init__(self, span: "OtelSpan | None" = None) -> None:
        self._span = span

    def set(self, **attributes: str | int | float | bool) -> None:
        if self._span is not None:
            self._span.set_attributes(attributes)

    def end(self, error: str = "") -> None:
        """`error` says what went wrong."""
        if self._span is None:
            return
        if error:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415

            self._span.set_status(StatusCode.ERROR, error)
        self._span.end()


class Tracer:
    """Makes spans; without a provider, such as do nothing."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("meritproof") if provider is not None else None

    @contextmanager
    def span(self, name: str, **attributes: str | int | float | bool) -> Iterator[None]:
        """A span around a block, and within the one around it."""
        if self._tracer is None:
            yield
            return
        with self._tracer.start_as_current_span(name, attributes=attributes):
            yield

    def begin(self, name: str, **attributes: str | int | float | bool) -> Span:
        """A span of its own, ended by its `end`: for what another task may end."""
        return Span(None if self._tracer is None else self._tracer.start_span(name, attributes=attributes))

    def close(self) -> None:
        """Sends what was not sent yet."""
        if self._provider is not None:
            self._provider.shutdown()


def from_environment(service: str) -> Tracer:
    """A tracer that exports by OTLP over gRPC if the environment names an endpoint, else one that does nothing.

    Raises:
        ConfigurationError: it does, but the extra is not installed.
    """
    wanted = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if wanted is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Tracer()
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(f"{wanted}: traces need the extra: pip install meritproof[otel]", wanted) from None
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracer(provider)
