"""Metrics over HTTP, in the format that Prometheus scrapes."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from process.errors import ConfigurationError


@contextmanager
def served(registry: CollectorRegistry, host: str, port: int) -> Iterator[int]:
    """Answers scrapes for as long as the context lasts; yields the port (`port` 0 is any free one).

    Raises:
        ConfigurationError: it cannot listen there.
    """
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigurationError(f"metrics_port: {host}:{port}: {error.strerror}", "metrics_port") from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
