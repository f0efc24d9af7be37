"""Where a client's market is, and everything that it needs to take part there."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eth_account.signers.local import LocalAccount
from pydantic import Field

from circuits import paths
from circuits.prover import Prover
from clients.service import AggregatorClient
from clients.transport import Transport
from contracts.bindings import Chain, Market
from process.configuration import ChainConfig, settings
from process.keyfile import load_account


class ConnectionConfig(ChainConfig):
    """What every client needs."""

    aggregator_target: str
    """host:port of the aggregator's gRPC service."""
    tls_ca: Path | None = None
    """PEM file of the authority that the aggregator's certificate must be from; without it, nothing is encrypted."""
    tls_certificate: Path | None = None
    """PEM file of this client's certificate, for an aggregator that asks for one."""
    tls_key: Path | None = None
    """PEM file of its private key."""
    allow_plaintext: bool = False
    """Speak to an aggregator on another machine although nothing is encrypted."""
    key_file: Path | None = None
    """Keystore, or private key in hex, readable by its owner only; without it, MERIT_PRIVATE_KEY is used."""
    password_file: Path | None = None
    """The keystore's password, readable by its owner only; without it, MERIT_PASSWORD is used, or a prompt."""
    directory: Path = Field(default_factory=paths.data_directory)
    """Where this process keeps its files."""
    poll_seconds: float = Field(default=2, gt=0)
    """How often the chain is looked at while nothing happens."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Of the events that the process prints."""


class UserConfig(ConnectionConfig):
    """What a program that imports `clients` needs; sections [chain] and [client] of its file."""

    aggregator: str = ""
    """Address of the account that serves tasks; only who creates one needs it."""
    verifier: str = ""
    """Address of the reusable verifier; only who creates a task needs it."""


def configured(file: Path | None, given: Mapping[str, object]) -> UserConfig:
    """A file's settings and the environment's, with the given ones before them.

    Raises:
        ConfigurationError: naming the field.
    """
    return settings(UserConfig, "client", file, given)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """An account in a market, and an aggregator.

    Attributes:
        directory: for what must not be forgotten.
        poll_seconds: how often the chain is looked at while nothing happens.
    """

    account: LocalAccount
    market: Market
    aggregator: AggregatorClient
    prover: Prover
    directory: Path
    poll_seconds: float = 2

    def directory_of(self, task_id: int) -> Path:
        """The files of this account in one task: of this very chain, for local ones start anew under the same id."""
        chain = self.market.chain
        genesis = bytes(chain.w3.eth.get_block(0)["hash"]).hex()[:8]
        task = f"{chain.chain_id}-{genesis}-{self.market.address[2:10].lower()}-task-{task_id}"
        return self.directory / task / self.account.address.lower()


def transport_of(config: ConnectionConfig) -> Transport:
    """How the aggregator is reached."""
    return Transport(
        ca=config.tls_ca,
        certificate=config.tls_certificate,
        key=config.tls_key,
        allow_plaintext=config.allow_plaintext,
    )


@asynccontextmanager
async def connected(config: ConnectionConfig) -> AsyncIterator[Connection]:
    """A connection for as long as the context lasts.

    Raises:
        KeyFileError, ChainUnavailable.
    """
    account = load_account(config.key_file, password_file=config.password_file)
    config.directory.mkdir(parents=True, exist_ok=True)
    chain = await asyncio.to_thread(Chain, config.rpc_url)
    with Prover() as prover:
        async with AggregatorClient(config.aggregator_target, transport=transport_of(config)) as aggregator:
            yield Connection(
                account=account,
                market=Market(chain, config.market),
                aggregator=aggregator,
                prover=prover,
                directory=config.directory,
                poll_seconds=config.poll_seconds,
            )
