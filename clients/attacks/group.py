"""Who attacks, as a user says it: NAME:COUNT."""

from collections.abc import Iterable
from dataclasses import dataclass

from clients import attacks
from clients.errors import InvalidAttackers


@dataclass(frozen=True, kw_only=True)
class Group:
    """`count` trainers with one attack.

    Raises:
        UnknownAttack: there is no such attack.
        InvalidAttackers: there are fewer than the attack takes.
    """

    name: str
    count: int

    def __post_init__(self) -> None:
        fewest = attacks.load(self.name).fewest
        if self.count < fewest:
            raise InvalidAttackers(f"{self.name}:{self.count}", f"{self.name} takes at least {fewest}")


def parse(text: str) -> Group:
    """`NAME:COUNT`; `NAME` alone is for as few as the attack takes (UnknownAttack, InvalidAttackers)."""
    name, separator, count = text.partition(":")
    fewest = attacks.load(name).fewest
    if not separator:
        return Group(name=name, count=fewest)
    if not (count.isascii() and count.isdigit() and len(count) <= 3):
        raise InvalidAttackers(text, "it must be NAME:COUNT, COUNT a number")
    return Group(name=name, count=int(count))


def places(groups: Iterable[Group], order: Iterable[int], trainers: int) -> tuple[str, ...]:
    """Behaviours of all trainers: the groups take places in `order`, and the others are honest.

    Raises:
        InvalidAttackers: nobody would be honest.
    """
    wanted = [group.name for group in groups for _ in range(group.count)]
    if len(wanted) >= trainers:
        raise InvalidAttackers(f"{len(wanted)} attackers", f"of {trainers} trainers at least one must be honest")
    by_place = dict(zip(order, wanted, strict=False))
    return tuple(by_place.get(place, "honest") for place in range(trainers))
