"""What the demo runs: who takes part, on which data, for which reward."""

from dataclasses import dataclass

from clients.attacks.group import Group, places
from clients.config import DigitsConfig, RecipeConfig

ETHER_WEI = 10**18
# Small shards and large ones, so that size does not tell who attacks.
_ATTACKERS_PLACES = (2, 5, 0, 7, 3, 6, 1)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Attributes:
    attackers: who attacks how; the others are honest.
    weights: relative shard sizes, one a trainer.
    rounds: of training.
    reward_per_round_wei: split among a round's accepted trainers by score.
    seed: of the data's split and of training; keys and salts are always fresh.

    Raises:
        InvalidAttackers: nobody would be honest.
    """

    attackers: tuple[Group, ...] = (Group(name="label_flip", count=1), Group(name="sign_flip", count=1))
    weights: tuple[int, ...] = DigitsConfig().weights
    rounds: int = 3
    reward_per_round_wei: int = ETHER_WEI
    seed: int = 1

    def __post_init__(self) -> None:
        _ = self.roles  # refused before anything starts

    @property
    def roles(self) -> tuple[str, ...]:
        """honest, or the name of an attack, one a trainer."""
        return places(self.attackers, _ATTACKERS_PLACES, len(self.weights))

    def colluders(self, index: int) -> tuple[int, ...]:
        """Everyone who attacks as this attacker does."""
        return tuple(i for i, role in enumerate(self.roles) if role == self.roles[index] != "honest")

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
