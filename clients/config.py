"""Configurations of the clients' processes."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from clients import attacks
from process.configuration import Configuration


class DigitsConfig(Configuration):
    """scikit-learn's digits, split among trainers."""

    seed: int = 1
    weights: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    """Relative shard sizes, one a trainer."""


class RecipeConfig(Configuration):
    """Local training of the softmax regression."""

    epochs: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=0.5, gt=0)
    """Where the task names none."""
    batch_size: int = Field(default=16, ge=1)
    seed: int = 1


class ClientConfig(Configuration):
    """What every client needs."""

    rpc_url: str
    """http(s) address of an Ethereum node."""
    market: str
    """Address of the market."""
    aggregator_target: str
    """host:port of the aggregator's gRPC service."""
    key_file: Path | None = None
    """Private key in hex, readable by its owner only; without it, MERIT_PRIVATE_KEY is used."""
    directory: Path
    """Where this process keeps its files."""
    data: DigitsConfig = DigitsConfig()
    poll_seconds: float = Field(default=2, gt=0)
    """How often the chain is looked at while nothing happens."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class TrainerConfig(ClientConfig):
    """A trainer of the demo's model."""

    task_id: int = Field(ge=1)
    shard: int = Field(ge=0)
    """Which of the shards is this trainer's."""
    recipe: RecipeConfig = RecipeConfig()
    max_stake_wei: int = Field(default=0, ge=0)
    """Refuse tasks that ask for a larger stake."""
    allowed: tuple[str, ...] = ()
    """Addresses of those who may join, as the owner gave them; empty for a task that is open to all."""
    behaviour: str = "honest"
    """honest, or the name of an attack."""
    colluders: tuple[int, ...] = ()
    """Shards of those who attack together, this trainer's among them, in the same order for each; itself if empty."""

    @field_validator("behaviour")
    @classmethod
    def _known(cls, behaviour: str) -> str:
        if behaviour != "honest":
            attacks.load(behaviour)
        return behaviour


class StatementConfig(Configuration):
    """What is proven."""

    slots: int = 8
    bits: int = 8
    fraction_bits: int = 7
    logrows: int = 0
    """log2 of the commitments' domain; 0: the smallest that holds an update."""
    outlier: str = "multi_krum"
    contribution: str = "projection"
    rule_params: dict[str, int] = Field(default_factory=lambda: {"f": 2})


class OwnerConfig(ClientConfig):
    """An owner of a task with the demo's model."""

    aggregator: str
    """Address of the account that serves the task."""
    verifier: str
    """Address of the reusable verifier."""
    statement: StatementConfig = StatementConfig()
    reward_per_round_wei: int = Field(ge=1)
    bond_wei: int = Field(ge=1)
    rounds: int = Field(default=3, ge=1)
    quorum: int = Field(ge=1)
    commit_window_seconds: int = Field(default=3600, ge=1)
    settle_window_seconds: int = Field(default=3600, ge=1)
    pay_by_round: bool = False
    stake_wei: int = Field(default=0, ge=0)
    """What each trainer posts when it joins, and gets back with the task's end."""
    allowed: tuple[str, ...] = ()
    """Addresses of those who may join; empty for all."""
    target_norm: int = Field(default=0, ge=0)
    """The task ends early once |A|^2 <= target_norm * n^2, in squared units of 2^-fraction_bits; 0: never."""
    learning_rate: float = Field(default=0, ge=0)
    """Of the first round; 0 leaves it to the trainers."""
    patience: int = Field(default=0, ge=0)
    """Rounds without progress after which the learning rate is halved; 0 keeps it constant."""
    reference_shard: int | None = Field(default=None, ge=0)
    """Which of the shards the owner's reference is trained on; for rules that have one, and only for them."""
    recipe: RecipeConfig = RecipeConfig()
    """How the reference is trained."""
    bundle: Path | None = None
    """Where everything that `merit verify` needs is gathered; by default in the directory."""
