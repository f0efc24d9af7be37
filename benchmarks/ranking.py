"""How well the proven scores rank trainers: rank correlation with Shapley values of accuracy.

    python -m benchmarks.ranking [--quick] [--json FILE] [--plot FILE] > table.md

Eight trainers: honest ones of four sizes, one whose images are noisy, one with half of its labels flipped, one with all
of them, one with the same data as another. Each plays a market in exact integers (see `benchmarks.simulation`); what it
is paid is compared with three yardsticks, none of them proven:

* exact: Shapley values of the accuracy that FedAvg among a coalition alone reaches, every coalition trained anew;
* by round: Shapley values of the accuracy of each round's mean over a coalition, every coalition evaluated, summed;
* GTG: GTG-Shapley's estimate of the latter.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.stats import kendalltau, spearmanr

from benchmarks.data import mnist_5k
from benchmarks.simulation import Cast, Terms, play
from circuits import rules
from circuits.fixedpoint import FixedPoint
from clients.attacks.label_flip import LabelFlip
from clients.baseline import federated_average, trained
from clients.data import Samples, digits, split
from clients.parameters import Vector, unflatten
from clients.training import Recipe, accuracy, softmax_regression
from clients.validation.accuracy import of_round
from clients.validation.game import Coalition
from clients.validation.gtg import GtgShapley
from clients.validation.shapley import exact_shapley

FORMAT = FixedPoint(bits=8, fraction_bits=7)
OWNERS_WEIGHT = 3
NOISE = 0.5
"""Standard deviation of what is added to a noisy trainer's pixels, which lie in [0, 1]."""
GTG_ROW = "GTG-Shapley itself"
YARDSTICKS = ("exact", "by round", "GTG")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A trainer: its relative shard size and what is wrong with its data. `copies` names whose shard it has."""

    weight: int
    flaw: Literal["", "noise", "half flipped", "flipped"] = ""
    copies: int | None = None


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is played."""

    data: Literal["digits", "MNIST-5k"] = "digits"
    learning_rate: float = 0.3
    seeds: tuple[int, ...] = (1, 2, 3)
    rounds: int = 5
    kinds: tuple[Kind, ...] = (
        Kind(weight=1),
        Kind(weight=2),
        Kind(weight=3),
        Kind(weight=4),
        Kind(weight=3, flaw="noise"),
        Kind(weight=3, flaw="half flipped"),
        Kind(weight=3, flaw="flipped"),
        Kind(weight=0, copies=2),
    )


FULL = (Scale(), Scale(data="MNIST-5k", learning_rate=0.1))
QUICK = (
    Scale(
        seeds=(1,),
        rounds=2,
        kinds=(
            Kind(weight=1),
            Kind(weight=3),
            Kind(weight=2),
            Kind(weight=3, flaw="flipped"),
            Kind(weight=0, copies=1),
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """One rule with one seed.

    Attributes:
        data, seed, rule: what was played.
        scores: what each trainer was paid, in wei; of GTG-Shapley, its values.
        shares: by yardstick, one a trainer.
        spearman, kendall: by yardstick; None where all are paid the same, or nobody is.
    """

    data: str
    seed: int
    rule: str
    scores: tuple[float, ...]
    shares: dict[str, tuple[float, ...]]
    spearman: dict[str, float | None]
    kendall: dict[str, float | None]


def rank(scale: Scale, seed: int) -> list[Ranking]:
    """Every rule on the data of a seed."""
    (reference, *shards), test = _shards(scale, seed)
    recipes = [Recipe(epochs=2, learning_rate=scale.learning_rate, seed=seed * 1000 + i) for i in range(len(shards))]
    cast = Cast(
        trains=[partial(_train, shard, how) for shard, how in zip(shards, recipes, strict=True)],
        reference=partial(_train, reference, replace(recipes[0], seed=seed * 1000 + len(shards))),
    )
    evaluate = partial(_accuracy, test)
    players = list(zip(shards, recipes, strict=True))
    exact = exact_shapley(len(players), partial(_retrained, players, test, scale.rounds))
    found = []
    for outlier, params in _outlier_rules(len(players)).items():
        terms = Terms(fmt=FORMAT, outlier=outlier, params=params, contributions=_contributions(outlier))
        start = np.zeros(test.inputs.shape[1] * 10 + 10)
        run = play(cast, terms, start, rounds=scale.rounds, seed=seed)
        games = [of_round(r.start, r.changes, evaluate) for r in run.rounds]
        by_round = np.sum([exact_shapley(len(players), game) for game in games], axis=0)
        gtg = np.sum([GtgShapley().round(len(players), game, seed=seed) for game in games], axis=0)
        shares = dict(zip(YARDSTICKS, (tuple(exact), tuple(by_round.tolist()), tuple(gtg.tolist())), strict=True))
        for contribution in terms.contributions:
            paid_wei = run.paid_wei(contribution)
            found.append(_compare(scale.data, seed, f"{outlier}+{contribution}", paid_wei, shares))
        if outlier == "none":
            found.append(_compare(scale.data, seed, GTG_ROW, gtg.tolist(), shares))
    return found


def _outlier_rules(players: int) -> dict[str, dict[str, int]]:
    return {"none": {}, "multi_krum": {"f": min(2, (players - 3) // 2)}, "mad": {"c": 3}}


def _compare(data: str, seed: int, rule: str, paid: Sequence[float], shares: dict[str, tuple[float, ...]]) -> Ranking:
    ranked = len(set(paid)) > 1
    return Ranking(
        data=data,
        seed=seed,
        rule=rule,
        scores=tuple(paid),
        shares=shares,
        spearman={name: float(spearmanr(paid, s).statistic) if ranked else None for name, s in shares.items()},
        kendall={name: float(kendalltau(paid, s).statistic) if ranked else None for name, s in shares.items()},
    )


def _contributions(outlier: str) -> tuple[str, ...]:
    """Those that go with the outlier rule; `shapley` is left out, for it equals `projection`."""
    names = [rule.contribution.name for rule in rules.combinations() if rule.outlier.name == outlier]
    return tuple(name for name in names if name != "shapley")


def _train(shard: Samples, how: Recipe, parameters: Vector, round: int, learning_rate: float | None) -> Vector:
    asked = how if learning_rate is None else replace(how, learning_rate=learning_rate)
    return trained(parameters, shard, asked, round)


def _accuracy(test: Samples, parameters: Vector) -> float:
    model = softmax_regression(test.inputs.shape[1])
    unflatten(model, parameters)
    return accuracy(model, test)


def _retrained(players: Sequence[tuple[Samples, Recipe]], test: Samples, rounds: int, coalition: Coalition) -> float:
    if not coalition:
        return _accuracy(test, np.zeros(test.inputs.shape[1] * 10 + 10))
    return federated_average([players[i] for i in sorted(coalition)], test, rounds)[-1]


def _shards(scale: Scale, seed: int) -> tuple[list[Samples], Samples]:
    """The owner's reference set and a shard a trainer, and the hold-out set."""
    weights = (OWNERS_WEIGHT, *(kind.weight for kind in scale.kinds))
    drawn = (
        digits(seed=seed, weights=weights) if scale.data == "digits" else split(mnist_5k(), seed=seed, weights=weights)
    )
    (reference, *shards), test = drawn
    rng = np.random.default_rng([seed, 1])
    spoilt = [_spoil(shard, kind, rng) for shard, kind in zip(shards, scale.kinds, strict=True)]
    copied = [spoilt[i if kind.copies is None else kind.copies] for i, kind in enumerate(scale.kinds)]
    return [reference, *copied], test


def _spoil(shard: Samples, kind: Kind, rng: np.random.Generator) -> Samples:
    if kind.flaw == "noise":
        noisy = shard.inputs + rng.normal(scale=NOISE, size=shard.inputs.shape)
        return Samples(inputs=noisy.clip(0, 1).astype(np.float32), labels=shard.labels)
    if kind.flaw in ("half flipped", "flipped"):
        flipped = LabelFlip().poison(shard).labels
        count = len(shard) if kind.flaw == "flipped" else len(shard) // 2
        return Samples(inputs=shard.inputs, labels=np.concatenate([flipped[:count], shard.labels[count:]]))
    return shard


def rank_all(scales: Sequence[Scale]) -> list[Ranking]:
    """Every data set, seed and rule, on all cores."""
    jobs = [(scale, seed) for scale in scales for seed in scale.seeds]
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_workers=os.cpu_count()) as pool:
        return [ranking for part in pool.map(rank, *zip(*jobs, strict=True)) for ranking in part]


# ------------------------------------------------------------------ Markdown and plot


def markdown(rankings: Sequence[Ranking]) -> str:
    """One table a data set: means over the seeds."""
    lines: list[str] = []
    heading = [f"{kind}, {name}" for name in YARDSTICKS for kind in ("Spearman", "Kendall")]
    for data, group in groupby(rankings, key=lambda r: r.data):
        lines += ["", f"**{data}**", "", _row("", heading), _row("---", ["---:"] * len(heading))]
        for rule, of_rule in _by_rule(list(group)).items():
            cells = [_mean(of_rule, kind, name) for name in YARDSTICKS for kind in ("spearman", "kendall")]
            label = rule.replace("+", "` + `")
            lines.append(_row(rule if rule == GTG_ROW else f"`{label}`", [_number(c) for c in cells]))
    return "\n".join(lines[1:]) + "\n"


def _by_rule(rankings: Sequence[Ranking]) -> dict[str, list[Ranking]]:
    grouped: dict[str, list[Ranking]] = {}
    for ranking in rankings:
        grouped.setdefault(ranking.rule, []).append(ranking)
    return grouped


def _mean(rankings: Sequence[Ranking], kind: str, yardstick: str) -> float | None:
    known = [value for r in rankings if (value := getattr(r, kind)[yardstick]) is not None]
    return float(np.mean(known)) if known else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _row(name: str, values: Sequence[str]) -> str:
    return "| " + " | ".join([name, *values]) + " |"


def draw(rankings: Sequence[Ranking], path: Path) -> None:
    """Spearman's correlation with exact Shapley values by rule, a dot a seed, as a PNG."""
    import matplotlib as mpl  # noqa: PLC0415  (a second to load, and not needed for tables)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    names = [n for n, found in _by_rule(rankings).items() if n != GTG_ROW and any(r.spearman["exact"] for r in found)]
    sets = list(dict.fromkeys(r.data for r in rankings))
    figure, panels = plt.subplots(
        1,
        len(sets),
        figsize=(5 * len(sets) + 2, 0.3 * len(names) + 1.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, data in zip(panels[0], sets, strict=True):
        mine = _by_rule([r for r in rankings if r.data == data])
        for yardstick, colour, shift in (("exact", "#2a6f97", 0.15), ("GTG", "#e09f3e", -0.15)):
            at = np.arange(len(names))[::-1] + shift
            means = [_mean(mine[name], "spearman", yardstick) for name in names]
            axes.barh(
                at, [m or 0 for m in means], height=0.28, color=colour, alpha=0.5, label=f"with {yardstick} Shapley"
            )
            for y, name in zip(at, names, strict=True):
                dots = [v for r in mine[name] if (v := r.spearman[yardstick]) is not None]
                axes.plot(dots, [y] * len(dots), "o", color=colour, markersize=3, clip_on=False)
        axes.axvline(0, color="#999999", linewidth=0.8)
        axes.set(title=data, xlabel="Spearman's rank correlation", xlim=(-1, 1))
        axes.set_yticks(np.arange(len(names))[::-1], names)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].legend(loc="lower left", frameon=False, fontsize=8)
    figure.savefig(path, dpi=140)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="five trainers, digits, one seed: shows that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every run goes")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where the picture goes, as a PNG")
    args = parser.parse_args()
    rankings = rank_all(QUICK if args.quick else FULL)
    if args.json:
        args.json.write_text(json.dumps([asdict(r) for r in rankings], indent=1))
    if args.plot:
        draw(rankings, args.plot)
    sys.stdout.write(markdown(rankings))


if __name__ == "__main__":
    main()
