"""Trainers that do harm, for demos, tests and tables. One attack a file."""

from clients.attacks.alie import Alie
from clients.attacks.backdoor import Backdoor
from clients.attacks.base import Attack, Scene
from clients.attacks.copycat import Copycat
from clients.attacks.free_rider import FreeRider
from clients.attacks.gaussian import Gaussian
from clients.attacks.label_flip import LabelFlip
from clients.attacks.min_max import MinMax
from clients.attacks.scaling import Scaling
from clients.attacks.sign_flip import SignFlip
from clients.attacks.sybil_split import SybilSplit
from clients.errors import UnknownAttack

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        SignFlip(), Scaling(), Gaussian(), LabelFlip(), Alie(),
        MinMax(), Copycat(), FreeRider(), Backdoor(), SybilSplit(),
    )
}  # fmt: skip


def load(name: str) -> Attack:
    """The attack of this name (UnknownAttack, listing the names, if there is none)."""
    if name not in ATTACKS:
        raise UnknownAttack(name, ATTACKS)
    return ATTACKS[name]


__all__ = ["ATTACKS", "Attack", "Scene", "load"]
