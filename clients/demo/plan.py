"""What the demo runs: who takes part, on which data, for which reward."""

from dataclasses import dataclass
from typing import Literal

from clients.config import DigitsConfig, RecipeConfig

Role = Literal["honest", "label_flip", "sign_flip"]

ETHER_WEI = 10**18


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Attributes:
    roles: one a trainer.
    weights: relative shard sizes, one a trainer.
    rounds: of training.
    reward_per_round_wei: split among a round's accepted trainers by score.
    seed: of the data's split and of training; keys and salts are always fresh.
    """

    roles: tuple[Role, ...] = (
        "honest", "honest", "label_flip", "honest", "honest", "sign_flip", "honest", "honest",
    )  # fmt: skip
    weights: tuple[int, ...] = DigitsConfig().weights
    rounds: int = 3
    reward_per_round_wei: int = ETHER_WEI
    seed: int = 1

    def __post_init__(self) -> None:
        assert len(self.roles) == len(self.weights)

    @property
    def reward_wei(self) -> int:
        """What the owner escrows."""
        return self.reward_per_round_wei * self.rounds

    @property
    def data(self) -> DigitsConfig:
        return DigitsConfig(seed=self.seed, weights=self.weights)

    @property
    def recipe(self) -> RecipeConfig:
        return RecipeConfig(seed=self.seed)
