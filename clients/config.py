"""Configurations of the clients' processes."""

from pathlib import Path

from pydantic import Field, field_validator

from clients import attacks
from clients.connection import ConnectionConfig
from contracts.bindings import NATIVE
from process.configuration import Configuration


class DigitsConfig(Configuration):
    """scikit-learn's digits, split among trainers."""

    seed: int = 1
    """Of the split."""
    weights: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    """Relative shard sizes, one a trainer."""


class RecipeConfig(Configuration):
    """Local training of the softmax regression."""

    epochs: int = Field(default=3, ge=1)
    """Passes over the shard in a round."""
    learning_rate: float = Field(default=0.5, gt=0)
    """Where the task names none."""
    batch_size: int = Field(default=16, ge=1)
    """Samples a step."""
    seed: int = 1
    """Of the order of samples."""


class PrivacyConfig(Configuration):
    """Differential privacy of each sample of the shard: see docs/privacy.md."""

    epsilon: float = Field(gt=0)
    """For all rounds together."""
    rounds: int = Field(ge=1)
    """So many rounds it is for; in later ones the trainer stops."""
    delta: float = Field(default=1e-5, gt=0, lt=1)
    """Well below one over the number of samples."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Largest norm of a sample's gradient."""
    steps: int = Field(default=4, ge=1)
    """Of a round, each over the whole shard."""
    learning_rate: float = Field(default=4.0, gt=0)
    """Where the task names none."""


class ClientConfig(ConnectionConfig):
    """A client of the demo's model."""

    directory: Path
    """Where this process keeps its files."""
    data: DigitsConfig = DigitsConfig()
    """The data set's split."""


class TrainerConfig(ClientConfig):
    """A trainer of the demo's model."""

    task_id: int = Field(ge=1)
    """The task that it takes part in."""
    shard: int = Field(ge=0)
    """Which of the shards is this trainer's."""
    recipe: RecipeConfig = RecipeConfig()
    """Local training."""
    privacy: PrivacyConfig | None = None
    """Noisy training instead of `recipe`: `epsilon`, `rounds`, and the fields of docs/privacy.md; default: none."""
    max_stake_wei: int = Field(default=0, ge=0)
    """Refuse tasks that ask for a larger stake."""
    stake_token: str = NATIVE
    """The ERC-20 that a stake may be in; by default the native currency."""
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
    """Of the rule's circuit: most trainers of a round."""
    bits: int = 8
    """Width of an entry of an update: 4, 8 or 16."""
    fraction_bits: int = 7
    """q of the scale 2^-q."""
    logrows: int = 0
    """log2 of the commitments' domain; 0: the smallest that holds an update."""
    outlier: str = "multi_krum"
    """The rule that accepts; see `merit rules list`."""
    contribution: str = "projection"
    """The rule that scores."""
    rule_params: dict[str, int] = Field(default_factory=lambda: {"f": 2})
    """Parameters of the outlier rule, by name."""


class OfferConfig(Configuration):
    """What an owner offers, and for what."""

    aggregator: str
    """Address of the account that serves the task."""
    verifier: str
    """Address of the reusable verifier."""
    statement: StatementConfig = StatementConfig()
    """What is proven: sizes and rule."""
    reward_per_round_wei: int = Field(ge=1)
    """Split among a round's accepted trainers by score."""
    bond_wei: int = Field(ge=1)
    """What the aggregator loses if it does not settle; at least the reward of a round."""
    rounds: int = Field(default=3, ge=1)
    """How many there are; reward for all of them is escrowed."""
    quorum: int = Field(ge=1)
    """Fewest trainers of a round."""
    commit_window_seconds: int = Field(default=3600, ge=1)
    """How long a round collects updates, at most."""
    settle_window_seconds: int = Field(default=3600, ge=1)
    """How long the aggregator has to prove and settle a committed round."""
    pay_by_round: bool = False
    """Credits are claimable each round instead of at the end."""
    token: str = NATIVE
    """ERC-20 of reward, bond and stakes, whose smallest unit they are then in; 0x0…0 is the native currency."""
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
    seal_last_model: bool = False
    """Nobody but owner and aggregator reads the model that ends the task; the aggregator must have a key board."""


class OwnerConfig(OfferConfig, ClientConfig):
    """An owner of a task with the demo's model."""

    reference_shard: int | None = Field(default=None, ge=0)
    """Which of the shards the owner's reference is trained on; for rules that have one, and only for them."""
    recipe: RecipeConfig = RecipeConfig()
    """How the reference is trained."""
    bundle: Path | None = None
    """Where everything that `merit verify` needs is gathered; by default in the directory."""
