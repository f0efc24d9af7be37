"""How a client reaches an aggregator: encrypted, by the authority that it trusts, or in the clear on this machine."""

import json
from dataclasses import dataclass
from pathlib import Path

import grpc

from clients.errors import TransportRefused
from process.logs import get
from protocol import wire

# Calls that change nothing: asking again is safe, so the channel does it. Signed calls are signed anew for each
# attempt, which the channel cannot do; streams are resumed where they broke.
_READS = {
    "merit.v1.TasksService": ("GetTask", "ListTasks"),
    "merit.v1.RoundsService": ("GetRound",),
    "merit.v1.UpdatesService": ("GetUploadStatus", "GetUpdateStatus"),
    "merit.v1.ReceiptsService": ("GetReceipt",),
    "merit.v1.AssessmentsService": ("GetAssessment",),
    "merit.v1.ModelsService": ("GetModelInfo",),
    "merit.v1.JobsService": ("ListJobs",),
}
_MAX_PEM_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Transport:
    """Attributes:
    ca: PEM file of the authority that the aggregator's certificate must be from; encrypts.
    certificate, key: PEM files of this client's own, for an aggregator that asks for one.
    allow_plaintext: speak in the clear to other machines, too.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    allow_plaintext: bool = False

    def channel(self, target: str, patience_seconds: float) -> grpc.aio.Channel:
        """A channel to host:port.

        Raises:
            TransportRefused: another machine in the clear, or a file that cannot be read.
        """
        options = [
            *wire.CHANNEL_OPTIONS,
            ("grpc.service_config", service_config(patience_seconds)),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
        ]
        if self.ca is not None:
            return grpc.aio.secure_channel(target, self._credentials(self.ca), options=options)
        if self.certificate is not None or self.key is not None:
            raise TransportRefused("ca", "a client's certificate is of use on an encrypted transport only")
        if not wire.is_loopback(_host(target)):
            if not self.allow_plaintext:
                raise TransportRefused("ca", f"{target} is another machine, and the transport is not encrypted")
            get(role="client").warning(
                "transport.plaintext", target=target, reason="anyone on the way can read and change it"
            )
        return grpc.aio.insecure_channel(target, options=options)

    def _credentials(self, ca: Path) -> grpc.ChannelCredentials:
        if (self.certificate is None) != (self.key is None):
            raise TransportRefused("key", "certificate and key come together")
        return grpc.ssl_channel_credentials(
            root_certificates=_pem("ca", ca),
            private_key=None if self.key is None else _pem("key", self.key),
            certificate_chain=None if self.certificate is None else _pem("certificate", self.certificate),
        )


def service_config(patience_seconds: float) -> str:
    """gRPC's own retries, method by method: for an aggregator that is starting, stopping, out of reach, or busy.

    Where a refusal says how long to wait, the channel waits for so long.
    """
    reads = {
        "name": [{"service": service, "method": method} for service, methods in _READS.items() for method in methods],
        "waitForReady": True,
        "timeout": f"{max(patience_seconds, 0.001):.3f}s",
        "retryPolicy": {
            "maxAttempts": 5,
            "initialBackoff": "0.2s",
            "maxBackoff": "5s",
            "backoffMultiplier": 3,
            "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
        },
    }
    return json.dumps({"methodConfig": [reads]})


def _host(target: str) -> str:
    """Of host:port, [host]:port."""
    return target.rpartition(":")[0].strip("[]")


def _pem(field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()[:_MAX_PEM_BYTES]
    except OSError as error:
        raise TransportRefused(field, f"{path}: {error.strerror}") from error
