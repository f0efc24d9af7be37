"""Configuration of the aggregator's process."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from eth_utils.address import is_address, to_checksum_address
from pydantic import Field, SecretStr, field_validator, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from contracts.bindings.records import require_address
from process.configuration import ChainConfig
from protocol.sealing import LEAST_RETENTION_SECONDS
from protocol.wire import is_loopback


class AggregatorConfig(ChainConfig):
    """One aggregator of one market."""

    data_directory: Path
    """Holds content store and database, unless these are elsewhere; belongs to this aggregator alone."""
    state_url: SecretStr | None = None
    """Where the state is: sqlite:///PATH or postgresql://...; by default in a file in `data_directory`."""
    store_url: SecretStr | None = None
    """RPC of an IPFS node (Kubo) that keeps the objects: http(s)://HOST:PORT; by default in `data_directory`."""
    key_file: Path | None = None
    """Keystore, or private key in hex, readable by its owner only; without it, MERIT_PRIVATE_KEY is used."""
    password_file: Path | None = None
    """The keystore's password, readable by its owner only; without it, MERIT_PASSWORD is used, or a prompt."""
    host: str = "127.0.0.1"
    """Where it listens."""
    port: int = Field(default=0, ge=0, le=65535)
    """0: any free port; the event `service.listening` names it."""
    allow_plaintext: bool = False
    """Listen on other addresses than loopback although the transport is not encrypted."""
    tls_certificate: Path | None = None
    """PEM file of the service's certificate, and of those that vouch for it; the transport is then encrypted."""
    tls_key: Path | None = None
    """PEM file of its private key, readable by its owner only."""
    tls_client_ca: Path | None = None
    """PEM file of the authority that clients' certificates must be from; by default they need none."""
    reflection: bool = False
    """Describe the services to whoever asks, for tools such as grpcurl."""
    key_board: str | None = None
    """Key board that the keys of sealed last models are handed over on; by default no such task is served."""
    tasks: tuple[int, ...] | None = None
    """Serve only these tasks; by default every task that names this aggregator."""
    open_when_joined: int | None = Field(default=None, ge=1, le=32)
    """Post the bond when so many trainers have joined; by default the task's quorum."""
    commit_margin_seconds: int = Field(default=60, ge=0)
    """Stop collecting so long before the commit window closes, if the quorum is there; at most half the window."""
    poll_seconds: float = Field(default=0.5, gt=0, le=60)
    """How often the chain is looked at."""
    reorg_depth_blocks: int | None = Field(default=None, ge=0, le=1024)
    """Follow reorganisations of so many blocks, and stop at deeper ones; by default 12, and none on a local chain."""
    max_logrows: int = Field(default=21, ge=10, le=26)
    """Refuse tasks with a larger domain: proofs take memory (416 bytes a row) and time with 2^logrows."""
    proof_workers: int = Field(default=2, ge=1, le=256)
    """So many proofs may be under way at once, each in a process of its own, if memory allows."""
    proof_memory_bytes: int | None = Field(default=None, ge=1 << 28)
    """What proofs may take on a machine together; by default what is available there at the start."""
    ray_address: str | None = Field(default_factory=lambda: os.environ.get("MERIT_RAY_ADDRESS"))
    """Proofs are made on this Ray cluster (extra `ray`), HOST:PORT of its head; by default on this machine."""
    min_commit_window_seconds: int = Field(default=60, ge=1)
    """Refuse tasks whose trainers have less time to send."""
    min_settle_window_seconds: int = Field(default=600, ge=1)
    """Refuse tasks with shorter windows: a round that is not settled in time costs the bond."""
    min_reward_per_round_wei: int = Field(default=1, ge=1)
    """Refuse tasks that offer less."""
    max_bond_wei: int | None = Field(default=None, ge=1)
    """Refuse tasks that ask for more; by default any bond is posted."""
    tokens: tuple[str, ...] = ()
    """ERC-20s that it serves tasks in, beside the native currency: bonds are posted in them, limits in their units."""
    max_uploads: int = Field(default=64, ge=1, le=4096)
    """Uploads at once, by trainers that have proven to be one; more are refused until one is done."""
    max_calls: int = Field(default=4096, ge=1)
    """Calls under way at once, watches and uploads among them."""
    max_calls_per_address: int = Field(default=256, ge=1)
    """The same, of one address."""
    calls_per_second: float = Field(default=100, gt=0)
    """Rate of calls of one address; ten seconds' worth may come at once."""
    upload_bytes_per_second: float = Field(default=64 << 20, gt=0)
    """Rate of uploads of one address: what comes faster is read later."""
    min_upload_bytes_per_second: float = Field(default=4096, gt=0)
    """An upload that is slower, once it had `idle_seconds`, is ended."""
    partial_seconds: float = Field(default=3600, gt=0)
    """So long a broken upload can be continued, while its round collects."""
    retention_seconds: int = Field(default=30 * 24 * 3600, ge=LEAST_RETENTION_SECONDS)
    """So long an update is kept, which its receipt promises: shorten it only for updates to come."""
    idle_seconds: float = Field(default=30, gt=0)
    """A stream whose other end sends, or takes, nothing for so long is ended."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Prometheus scrapes here; by default nowhere. 0: any free port; the event `metrics.listening` names it."""
    metrics_host: str = "127.0.0.1"
    """Where scrapes are answered, in the clear and to anyone who asks."""
    drain_seconds: float = Field(default=30, ge=0)
    """At a stop, calls and the step under way get so long to finish."""
    log_level: str = "info"
    """debug, info, warning or error."""

    @field_validator("tokens")
    @classmethod
    def _addresses(cls, tokens: tuple[str, ...]) -> tuple[str, ...]:
        for token in tokens:
            require_address("tokens", token)
        return tuple(map(to_checksum_address, tokens))

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, level: str) -> str:
        if level not in ("debug", "info", "warning", "error"):
            raise ValueError("it must be debug, info, warning or error")
        return level

    @field_validator("state_url")
    @classmethod
    def _known_database(cls, url: SecretStr | None) -> SecretStr | None:
        try:
            known = url is None or make_url(url.get_secret_value()).get_backend_name() in ("sqlite", "postgresql")
        except ArgumentError:
            known = False
        if not known:
            raise ValueError("it must be sqlite:///PATH or postgresql://USER@HOST/DATABASE")
        return url

    @field_validator("key_board")
    @classmethod
    def _known_board(cls, address: str | None) -> str | None:
        if address is not None and not is_address(address):
            raise ValueError("it must be an address, 0x and 40 hex digits")
        return address

    @field_validator("store_url")
    @classmethod
    def _known_store(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            parts = urlsplit(url.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ValueError("it must be http://HOST:PORT or https://HOST:PORT, the RPC of an IPFS node")
        return url

    @property
    def objects(self) -> str:
        """Where the objects are: an IPFS node's URL, or a directory."""
        if self.store_url is None:
            return str(self.data_directory / "objects")
        return self.store_url.get_secret_value()

    @property
    def database(self) -> URL:
        """Where the state is; its password, if any, is not shown."""
        if self.state_url is None:
            return URL.create("sqlite", database=str(self.data_directory / "state.sqlite"))
        return make_url(self.state_url.get_secret_value())

    @model_validator(mode="after")
    def _certificate_and_key(self) -> "AggregatorConfig":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_key: certificate and key come together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca: without a certificate of its own, the service asks for none")
        return self

    @model_validator(mode="after")
    def _plaintext_only_on_loopback(self) -> "AggregatorConfig":
        if self.tls_certificate is None and not is_loopback(self.host) and not self.allow_plaintext:
            raise ValueError(f"host: {self.host} is not loopback, and the transport is not encrypted")
        return self
