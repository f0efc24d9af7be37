"""Rule by attack: who is accepted, what the model keeps, what attackers are paid.

    python -m benchmarks.robustness [--quick] [--json FILE] > table.md

Ten trainers, two of which attack; exact integers from quantisation on (see `benchmarks.simulation`). Constants of rules
and attacks are chosen once, below, and the same for every cell.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.data import mnist_5k
from benchmarks.shards import SHAPES, Shape, World, deal
from benchmarks.simulation import Cast, Terms, play
from circuits import rules
from circuits.fixedpoint import FixedPoint, quantize
from clients.attacks import ATTACKS
from clients.attacks.backdoor import Backdoor
from clients.baseline import federated_average, trained
from clients.data import Samples, digits
from clients.local_training import LocalTraining
from clients.parameters import Vector, unflatten
from clients.training import Recipe, accuracy, softmax_regression

TRAINERS = 10
ATTACKERS = (2, 7)
"""Which two does not matter: shards are random and of one size."""
FORMAT = FixedPoint(bits=8, fraction_bits=8)
NONE = "no attack"
LEAST_KEPT, MOST_PAID, LEAST_HONEST = 0.98, 0.05, 0.9
"""A cell that keeps less accuracy, pays attackers a larger share, or accepts fewer of the honest is marked."""
SYBILS_SHARE = 1 / 9
"""One honest trainer of nine stands behind two names: up to so much it has earned."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is played.

    Attributes:
        mnist: MNIST-5k, otherwise scikit-learn's digits.
    """

    mnist: bool = True
    seeds: tuple[int, ...] = (1, 2, 3)
    rounds: int = 6
    learning_rate: float = 0.1


FULL, QUICK = Scale(), Scale(mnist=False, seeds=(1,), rounds=2, learning_rate=0.3)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An outlier rule with its parameters, as a row of the tables. `norm_bound` takes its B from `bound_of`."""

    outlier: str
    params: tuple[tuple[str, int], ...] = ()

    @property
    def label(self) -> str:
        values = "B" if self.outlier == "norm_bound" else ", ".join(f"{value}" for _, value in self.params)
        return f"{self.outlier}({values})" if values else self.outlier


CONTENDERS = (
    Contender(outlier="none"),
    Contender(outlier="norm_bound"),
    Contender(outlier="multi_krum", params=(("f", 2),)),
    Contender(outlier="mad", params=(("c", 3),)),
    Contender(outlier="three_sigma", params=(("l", 3),)),
    Contender(outlier="three_sigma", params=(("l", 2),)),
    Contender(outlier="aligned"),
    Contender(outlier="cross_round", params=(("bound_percent", 50), ("l", 2))),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run.

    Attributes:
        attackers_accepted, honest_accepted: shares of their updates, in [0, 1]; None without attackers.
        kept: accuracy over that of float FedAvg among the honest trainers alone, after as many rounds.
        accuracy: on the hold-out set.
        paid_share: of what was paid at all, to the attackers, by contribution rule; None where nobody was paid.
        backdoor: share of stamped hold-out images of other labels that get the target; None without a backdoor.
        clipped_share: largest share of clipped entries of an honest update.
    """

    contender: str
    attack: str
    shape: Shape
    seed: int
    attackers_accepted: float | None
    honest_accepted: float
    kept: float
    accuracy: float
    paid_share: dict[str, float | None] | None
    backdoor: float | None
    clipped_share: float


@cache
def world(scale: Scale, seed: int, shape: Shape) -> World:
    """The data of a seed; the same each time."""
    everything = mnist_5k() if scale.mnist else digits(seed=seed, weights=(1,))[0][0]
    return deal(everything, TRAINERS, shape=shape, seed=seed)


def recipe(scale: Scale, seed: int, trainer: int) -> Recipe:
    """`trainer` is -1 for the owner, who takes as many steps on half of an even shard as a trainer on a whole one."""
    epochs = 4 if trainer < 0 else 2
    return Recipe(epochs=epochs, learning_rate=scale.learning_rate, batch_size=16, seed=seed * 1000 + trainer + 1)


def run(scale: Scale, contender: Contender, attack_name: str, seed: int, shape: Shape = "even") -> Outcome:
    """Plays one cell of the tables for one seed."""
    data = world(scale, seed, shape)
    attack = ATTACKS.get(attack_name)
    attackers = ATTACKERS if attack else ()
    shards = [attack.poison(s) if attack and i in attackers else s for i, s in enumerate(data.shards)]
    cast = Cast(
        trains=[_training(shard, recipe(scale, seed, i)) for i, shard in enumerate(shards)],
        reference=_training(data.reference, recipe(scale, seed, -1)),
        attackers=attackers,
        attack=attack,
    )
    start = np.zeros(data.test.inputs.shape[1] * 10 + 10)
    params = dict(contender.params) or _bound(contender, cast, start)
    terms = Terms(fmt=FORMAT, outlier=contender.outlier, params=params, contributions=fitting(contender.outlier))
    played = play(cast, terms, start, rounds=scale.rounds, seed=seed)
    accepts = np.array([r.accept for r in played.rounds])
    reached = _accuracy(played.final, data.test)
    return Outcome(
        contender=contender.label,
        attack=attack_name,
        shape=shape,
        seed=seed,
        attackers_accepted=float(accepts[:, list(attackers)].mean()) if attackers else None,
        honest_accepted=float(accepts[:, cast.honest].mean()),
        kept=reached / _baseline(scale, seed, shape, tuple(cast.honest)),
        accuracy=reached,
        paid_share={c: _share(played.paid_wei(c), attackers) for c in terms.contributions} if attackers else None,
        backdoor=_triggered(attack, played.final, data.test) if isinstance(attack, Backdoor) else None,
        clipped_share=max(r.clipped_share for r in played.rounds),
    )


def fitting(outlier: str) -> tuple[str, ...]:
    """The contribution rules that go with an outlier rule; `shapley` is left out, for it equals `projection`."""
    names = [rule.contribution.name for rule in rules.combinations() if rule.outlier.name == outlier]
    return tuple(name for name in names if name != "shapley")


def _training(shard: Samples, how: Recipe) -> LocalTraining:
    return lambda parameters, round, _: trained(parameters, shard, how, round)


def _bound(contender: Contender, cast: Cast, start: Vector) -> Mapping[str, int]:
    """B of norm_bound: the square of twice the norm of what the owner's own training changes at first."""
    if contender.outlier != "norm_bound":
        return {}
    values = quantize(cast.reference(start.copy(), 0, None) - start, FORMAT).values
    return {"B": 4 * int(values @ values)}


def _share(paid_wei: Sequence[int], attackers: Sequence[int]) -> float | None:
    total = sum(paid_wei)
    return sum(paid_wei[i] for i in attackers) / total if total else None


def _accuracy(parameters: Vector, test: Samples) -> float:
    model = softmax_regression(test.inputs.shape[1])
    unflatten(model, parameters)
    return accuracy(model, test)


def _triggered(attack: Backdoor, parameters: Vector, test: Samples) -> float:
    others = test.select(np.flatnonzero(test.labels != attack.target))
    stamped = Samples(inputs=attack.stamp(others.inputs), labels=np.full(len(others), attack.target))
    return _accuracy(parameters, stamped)


@cache
def _baseline(scale: Scale, seed: int, shape: Shape, members: tuple[int, ...]) -> float:
    data = world(scale, seed, shape)
    shards = [(data.shards[i], recipe(scale, seed, i)) for i in members]
    return federated_average(shards, data.test, scale.rounds)[-1]


# ----------------------------------------------------------------- all cells


def play_all(
    scale: Scale, contenders: Sequence[Contender] = CONTENDERS, attacks: Sequence[str] = (NONE, *ATTACKS)
) -> list[Outcome]:
    """Every rule against every attack with every seed, and without attack on uneven shards, on all cores."""
    played: list[tuple[str, Shape]] = [(attack, "even") for attack in attacks]
    played += [(NONE, shape) for shape in SHAPES if shape != "even"]
    jobs = [(scale, c, attack, seed, shape) for seed, (attack, shape), c in product(scale.seeds, played, contenders)]
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_workers=os.cpu_count()) as pool:
        return list(pool.map(run, *zip(*jobs, strict=True), chunksize=8))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Means over the seeds; the same fields as `Outcome`."""

    attackers_accepted: float | None
    honest_accepted: float
    kept: float
    paid_share: dict[str, float | None] | None
    backdoor: float | None

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> "Cell":
        def mean(values: Sequence[float | None]) -> float | None:
            known = [v for v in values if v is not None]
            return float(np.mean(known)) if known else None

        paid = [o.paid_share for o in outcomes if o.paid_share is not None]
        return cls(
            attackers_accepted=mean([o.attackers_accepted for o in outcomes]),
            honest_accepted=float(np.mean([o.honest_accepted for o in outcomes])),
            kept=float(np.mean([o.kept for o in outcomes])),
            paid_share={name: mean([p[name] for p in paid]) for name in paid[0]} if paid else None,
            backdoor=mean([o.backdoor for o in outcomes]),
        )


def cells(outcomes: Sequence[Outcome], column: str) -> dict[tuple[str, str], Cell]:
    """By rule and by the attribute `column` of the runs, in their order."""
    grouped: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        grouped.setdefault((outcome.contender, getattr(outcome, column)), []).append(outcome)
    return {key: Cell.of(group) for key, group in grouped.items()}


# ------------------------------------------------------------------ Markdown


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Attackers accepted, honest accepted, accuracy kept, pay taken; and what uneven shards do where nobody attacks."""
    table = cells([o for o in outcomes if o.shape == "even"], "attack")
    attacks = list(dict.fromkeys(attack for _, attack in table))
    contenders = list(dict.fromkeys(contender for contender, _ in table))
    lines: list[str] = []
    for title, rows in (
        ("Attackers' updates accepted, %", _accepted(table, contenders, attacks)),
        ("Honest updates accepted, %", _honest(table, contenders, attacks)),
        ("Accuracy kept, % of honest-only FedAvg", _kept(table, contenders, attacks)),
        ("Pay taken by the attackers, % of what was paid", _paid(table, contenders, attacks)),
    ):
        shown = attacks if "kept" in title or "Honest" in title else [a for a in attacks if a != NONE]
        heading = [a.replace("_", " ") for a in shown]
        if "kept" in title and "backdoor" in attacks:
            heading.append("backdoor works")
        lines += ["", f"**{title}**", "", _row("", heading), _row("---", ["---:"] * len(heading)), *rows]
    return "\n".join(lines[1:] + _shapes(outcomes)) + "\n"


def _shapes(outcomes: Sequence[Outcome]) -> list[str]:
    table = cells([o for o in outcomes if o.attack == NONE], "shape")
    shapes = list(dict.fromkeys(shape for _, shape in table))
    heading = [f"{shape}: {what}" for shape in shapes for what in ("accepted", "accuracy kept")]
    title = "Without attack: honest updates accepted, and accuracy kept, by how the data are dealt, %"
    lines = ["", f"**{title}**", "", _row("", heading), _row("---", ["---:"] * len(heading))]
    for name in dict.fromkeys(contender for contender, _ in table):
        row = [table[name, shape] for shape in shapes]
        marked = [
            (
                _percent(c.honest_accepted, c.honest_accepted < LEAST_HONEST),
                _percent(c.kept, c.kept < LEAST_KEPT, digits=1),
            )
            for c in row
        ]
        lines.append(_row(f"`{name}`", [cell for pair in marked for cell in pair]))
    return lines if shapes else []


Table = Mapping[tuple[str, str], Cell]


def _accepted(table: Table, contenders: Sequence[str], attacks: Sequence[str]) -> Iterator[str]:
    for name in contenders:
        shares = [table[name, a].attackers_accepted for a in attacks]
        yield _row(f"`{name}`", [_percent(s) for s in shares if s is not None])


def _honest(table: Table, contenders: Sequence[str], attacks: Sequence[str]) -> Iterator[str]:
    for name in contenders:
        shares = [table[name, a].honest_accepted for a in attacks]
        yield _row(f"`{name}`", [_percent(s, s < LEAST_HONEST) for s in shares])


def _kept(table: Table, contenders: Sequence[str], attacks: Sequence[str]) -> Iterator[str]:
    for name in contenders:
        shares = [table[name, a].kept for a in attacks]
        backdoors = [table[name, a].backdoor for a in attacks]
        row = [_percent(s, s < LEAST_KEPT, digits=1) for s in shares]
        yield _row(f"`{name}`", row + [_percent(b) for b in backdoors if b is not None])


def _paid(table: Table, contenders: Sequence[str], attacks: Sequence[str]) -> Iterator[str]:
    for name in contenders:
        shares = {a: share for a in attacks if (share := table[name, a].paid_share) is not None}
        for contribution in next(iter(shares.values()), {}):
            paid = [_paid_cell(attack, share[contribution]) for attack, share in shares.items()]
            yield _row(f"`{name}` + `{contribution}`", paid)


def _paid_cell(attack: str, share: float | None) -> str:
    if share is None:
        return "nobody"
    return _percent(share, share > (SYBILS_SHARE if attack == "sybil_split" else MOST_PAID), digits=1)


def _row(name: str, values: Sequence[str]) -> str:
    return "| " + " | ".join([name, *values]) + " |"


def _percent(share: float, failed: bool = False, digits: int = 0) -> str:
    text = f"{100 * share:.{digits}f}"
    return f"**{text}**" if failed else text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="digits, one seed, two rounds: shows that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every run goes")
    args = parser.parse_args()
    scale = QUICK if args.quick else FULL
    outcomes = play_all(scale)
    if args.json:
        args.json.write_text(json.dumps({"scale": asdict(scale), "runs": [asdict(o) for o in outcomes]}, indent=1))
    sys.stdout.write(markdown(outcomes))


if __name__ == "__main__":
    main()
