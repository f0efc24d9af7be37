"""The gRPC server: which services it has, over which transport, and within which limits."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from merit.v1 import (
    assessments_pb2_grpc,
    jobs_pb2_grpc,
    models_pb2_grpc,
    proofs_pb2_grpc,
    receipts_pb2_grpc,
    rounds_pb2_grpc,
    tasks_pb2_grpc,
    updates_pb2_grpc,
)

from aggregator.config import AggregatorConfig
from aggregator.downloads import Downloads
from aggregator.genesis import GenesisIntake
from aggregator.intake import Intake
from aggregator.interceptor import Refusals
from aggregator.limits import Limits
from aggregator.observed import Observed
from aggregator.served import Registry
from aggregator.servicers.assessments import Assessments
from aggregator.servicers.jobs import ProofJobs
from aggregator.servicers.models import Models
from aggregator.servicers.proofs import ProofDownloads
from aggregator.servicers.receipts import Receipts
from aggregator.servicers.rounds import Rounds
from aggregator.servicers.tasks import Tasks
from aggregator.servicers.updates import Updates
from aggregator.tools import Tools
from process.errors import ConfigurationError
from protocol import wire

SERVICES = (
    "merit.v1.TasksService",
    "merit.v1.RoundsService",
    "merit.v1.UpdatesService",
    "merit.v1.ReceiptsService",
    "merit.v1.AssessmentsService",
    "merit.v1.ModelsService",
    "merit.v1.ProofsService",
    "merit.v1.JobsService",
)
_MAX_PEM_BYTES = 1 << 20

_OPTIONS = (
    *wire.CHANNEL_OPTIONS,
    # A peer that is gone without a word is noticed within a minute and a half.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # A port that another process listens on is an error, not a share of its connections.
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, kw_only=True)
class Server:
    """Attributes:
    port: where it listens, once it is started.
    """

    grpc: grpc.aio.Server
    health: Any
    intake: Intake
    genesis: GenesisIntake
    port: int

    async def start(self) -> None:
        await self.grpc.start()
        for name in ("", *SERVICES):
            await self.health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_seconds: float) -> None:
        await self.grpc.stop(grace_seconds)
        self.intake.checks.close()


def build(tools: Tools, registry: Registry) -> Server:
    """The server, which listens but does not answer yet.

    Raises:
        ConfigurationError: it cannot listen there, or not with these certificates.
    """
    config = tools.config
    limits = Limits(
        calls_per_second=config.calls_per_second,
        bytes_per_second=config.upload_bytes_per_second,
        calls_at_once=config.max_calls_per_address,
        all_at_once=config.max_calls,
    )
    options = (*_OPTIONS, ("grpc.max_allowed_incoming_connections", config.max_calls))
    interceptors = [Observed(tools.telemetry, tools.log), Refusals(tools.log, limits)]
    server = grpc.aio.server(interceptors=interceptors, options=options)
    intake = Intake(tools, registry, limits)
    genesis = GenesisIntake(tools, registry, limits)
    downloads = Downloads(tools)
    tasks_pb2_grpc.add_TasksServiceServicer_to_server(Tasks(tools, registry), server)
    rounds_pb2_grpc.add_RoundsServiceServicer_to_server(Rounds(tools, registry), server)
    updates_pb2_grpc.add_UpdatesServiceServicer_to_server(Updates(tools, registry, intake), server)
    receipts_pb2_grpc.add_ReceiptsServiceServicer_to_server(Receipts(tools, registry, intake), server)
    assessments_pb2_grpc.add_AssessmentsServiceServicer_to_server(Assessments(tools, registry), server)
    models_pb2_grpc.add_ModelsServiceServicer_to_server(Models(tools, registry, genesis, downloads), server)
    proofs_pb2_grpc.add_ProofsServiceServicer_to_server(ProofDownloads(tools, registry, downloads), server)
    jobs_pb2_grpc.add_JobsServiceServicer_to_server(ProofJobs(tools, registry), server)
    health_service = health.aio.HealthServicer()  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    if config.reflection:
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    port = _listen(server, tools)
    return Server(grpc=server, health=health_service, intake=intake, genesis=genesis, port=port)


def _listen(server: grpc.aio.Server, tools: Tools) -> int:
    config = tools.config
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = f"{host}:{config.port}"
    try:
        credentials = _credentials(config)
        if credentials is not None:
            return server.add_secure_port(address, credentials)
        if not wire.is_loopback(config.host):
            tools.log.warning("service.plaintext", host=config.host, reason="anyone on the way can read and change it")
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigurationError(f"host, port: cannot listen on {address} ({error})", "port") from error


def _credentials(config: AggregatorConfig) -> grpc.ServerCredentials | None:
    if config.tls_certificate is None or config.tls_key is None:
        return None
    if config.tls_key.is_file() and config.tls_key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"tls_key: others can read {config.tls_key}; run chmod 600 on it", "tls_key")
    pair = (_pem("tls_key", config.tls_key), _pem("tls_certificate", config.tls_certificate))
    authority = None if config.tls_client_ca is None else _pem("tls_client_ca", config.tls_client_ca)
    return grpc.ssl_server_credentials([pair], root_certificates=authority, require_client_auth=authority is not None)


def _pem(field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()[:_MAX_PEM_BYTES]
    except OSError as error:
        raise ConfigurationError(f"{field}: {path}: {error.strerror}", field) from error
