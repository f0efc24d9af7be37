"""Traces reach a collector that the environment names; else nothing of OpenTelemetry is loaded."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from process.errors import ConfigurationError
from process.tracing import ENDPOINTS, from_environment


class Collector(TraceServiceServicer):
    """A real OTLP endpoint."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []

    def Export(  # noqa: N802
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        self.requests.append(request)
        return ExportTraceServiceResponse()


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENDPOINTS, "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    server, collector = grpc.server(ThreadPoolExecutor(1)), Collector()
    add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield collector
    server.stop(None).wait()


def spans(collector: Collector) -> dict[str, dict[str, str]]:
    """Attributes of the resource by span's name."""
    return {
        span.name: {a.key: a.value.string_value for a in resource.resource.attributes}
        for request in collector.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def test_spans_arrive(collector: Collector) -> None:
    tracer = from_environment("merit-test")
    with tracer.span("outer", **{"merit.task": 1}):
        tracer.begin("call").end("refused")
    tracer.close()
    found = spans(collector)
    assert found.keys() == {"outer", "call"}
    assert found["outer"]["service.name"] == "merit-test"


def test_the_standard_name_holds(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    tracer = from_environment("merit-test")
    with tracer.span("outer"):
        pass
    tracer.close()
    assert spans(collector)["outer"]["service.name"] == "mine"


def test_disabled_means_disabled(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    tracer = from_environment("merit-test")
    with tracer.span("outer"):
        pass
    tracer.close()
    assert collector.requests == []


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"meritproof\[otel\]"):
        from_environment("merit-test")


def test_without_an_endpoint_nothing_is_loaded() -> None:
    program = (
        "import sys; from process.tracing import from_environment; t = from_environment('x')\n"
        "with t.span('a'): t.begin('b').end('no')\n"
        "t.close(); sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
