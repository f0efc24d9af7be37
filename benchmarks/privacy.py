"""What differential privacy costs: accuracy, acceptance and pay, by epsilon.

    python -m benchmarks.privacy [--quick] [--json FILE] > table.md

Ten trainers on even shards, exact integers from quantisation on (see `benchmarks.simulation`).
Noise is drawn from seeds, so that a table can be made again; a trainer's own comes from its system.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import structlog

from benchmarks.robustness import FORMAT, FULL, QUICK, TRAINERS, Scale, recipe, world
from benchmarks.simulation import Cast, Run, Terms, play
from clients.baseline import trained
from clients.data import CLASSES, Samples
from clients.local_training import LocalTraining
from clients.parameters import Vector, unflatten
from clients.privacy import ClippedSum, Mechanism, Noise, PrivateGradients, PrivateUpdate, Unit, multiplier_for
from clients.training import accuracy, softmax_regression

CLIP_NORM = 1.0
"""Of one sample's gradient, whose norm is about 9 at first, and of an update, whose norm is about 1."""
STEPS, LEARNING_RATE = 4, 4.0
"""Of a round, for private gradients. Chosen on seed 1's test accuracy at epsilon 8, after a few settings."""
DELTA = 1e-5
PARAMS: dict[str, dict[str, int]] = {"none": {}, "multi_krum": {"f": 2}, "aligned": {}}
CONTRIBUTIONS = {"none": "projection", "multi_krum": "projection", "aligned": "shapley_reference"}
"""What is paid by, for each outlier rule: coming closer to the mean of all, or to the owner's reference."""
PLAYED = (("none", "all"), ("none", "half"), ("multi_krum", "all"), ("multi_krum", "half"), ("aligned", "half"))
"""Outlier rule, and who is private."""
PRIVATE_HALF = (1, 3, 5, 7, 9)


@dataclass(frozen=True, kw_only=True)
class Level:
    """A row of the table. `unit` is None without privacy; epsilon is for all rounds together."""

    unit: Unit | None = None
    epsilon: float = float("inf")


LEVELS = (
    Level(),
    *(Level(unit="sample", epsilon=epsilon) for epsilon in (16, 8, 4, 2, 1)),
    *(Level(unit="trainer", epsilon=epsilon) for epsilon in (1000, 100, 8)),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run.

    Attributes:
        who: all trainers are private, or half of them.
        noise_multiplier: None without privacy.
        accuracy: on the hold-out set.
        private_accepted, others_accepted: shares of their updates; None where there are none.
        private_paid: their share of what was paid; None where nobody was.
        clipped_share: largest share of entries that the number format cut off.
    """

    level: Level
    rule: str
    who: str
    seed: int
    noise_multiplier: float | None
    accuracy: float
    private_accepted: float
    others_accepted: float | None
    private_paid: float | None
    clipped_share: float


def run(scale: Scale, level: Level, rule: str, who: str, seed: int) -> Outcome:
    """Plays one cell for one seed."""
    # A benchmark says what was spent in its table, not in the trainers' logs.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    data, private = world(scale, seed, "even"), range(TRAINERS) if who == "all" else PRIVATE_HALF
    mechanism = _mechanism(level, scale.rounds)
    trains = [_open(scale, shard, seed, i) for i, shard in enumerate(data.shards)]
    if mechanism:
        for i in private:
            trains[i] = _private(trains[i], level, mechanism, data.shards[i], _seeded(seed, i))
    terms = Terms(fmt=FORMAT, outlier=rule, params=PARAMS[rule], contributions=(CONTRIBUTIONS[rule],))
    start = np.zeros(data.test.inputs.shape[1] * CLASSES + CLASSES)
    played = play(
        Cast(trains=trains, reference=_open(scale, data.reference, seed, -1)),
        terms, start, rounds=scale.rounds, seed=seed,
    )  # fmt: skip
    accepts = np.array([r.accept for r in played.rounds])
    others = [i for i in range(TRAINERS) if i not in private]
    return Outcome(
        level=level,
        rule=rule,
        who=who,
        seed=seed,
        noise_multiplier=mechanism.noise_multiplier if mechanism else None,
        accuracy=_accuracy(played.final, data.test),
        private_accepted=float(accepts[:, list(private)].mean()),
        others_accepted=float(accepts[:, others].mean()) if others else None,
        private_paid=_paid(played, CONTRIBUTIONS[rule], private),
        clipped_share=max(r.clipped_share for r in played.rounds),
    )


def softmax_gradients(samples: Samples) -> ClippedSum:
    """As `clients.privacy.gradients_of(softmax_regression(...), samples)`, hundreds of times faster.

    A sample's gradient is the outer product of (probabilities - label) and (inputs, 1), so its norm is theirs' product.
    """
    inputs = np.hstack([samples.inputs.astype(np.float64), np.ones((len(samples), 1))])
    labels, lengths = np.eye(CLASSES)[samples.labels], np.linalg.norm(inputs, axis=1)
    width = samples.inputs.shape[1]

    def total(parameters: Vector, norm: float) -> Vector:
        slopes, offsets = parameters[: width * CLASSES], parameters[width * CLASSES :]
        weights = np.hstack([slopes.reshape(CLASSES, width), offsets[:, None]])
        logits = inputs @ weights.T
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        errors = odds / odds.sum(axis=1, keepdims=True) - labels
        found = np.linalg.norm(errors, axis=1) * lengths
        clipped = errors * np.minimum(1, norm / np.maximum(found, norm * 1e-9))[:, None]
        summed = clipped.T @ inputs
        return np.concatenate([summed[:, :width].ravel(), summed[:, width]])

    return total


def _mechanism(level: Level, rounds: int) -> Mechanism | None:
    if level.unit is None:
        return None
    releases = rounds * (STEPS if level.unit == "sample" else 1)
    multiplier = multiplier_for(level.epsilon, delta=DELTA, releases=releases)
    return Mechanism(clip_norm=CLIP_NORM, noise_multiplier=multiplier, delta=DELTA)


def _private(train: LocalTraining, level: Level, mechanism: Mechanism, shard: Samples, noise: Noise) -> LocalTraining:
    if level.unit == "trainer":
        return PrivateUpdate(train, mechanism, draw=noise)
    gradients = softmax_gradients(shard)
    return PrivateGradients(
        gradients, mechanism, samples=len(shard), steps=STEPS, learning_rate=LEARNING_RATE, draw=noise
    )


def _open(scale: Scale, shard: Samples, seed: int, trainer: int) -> LocalTraining:
    return lambda parameters, round, _: trained(parameters, shard, recipe(scale, seed, trainer), round)


def _seeded(seed: int, trainer: int) -> Noise:
    rng = np.random.default_rng([seed, trainer, 7])
    return rng.standard_normal


def _accuracy(parameters: Vector, test: Samples) -> float:
    model = softmax_regression(test.inputs.shape[1])
    unflatten(model, parameters)
    return accuracy(model, test)


def _paid(played: Run, contribution: str, private: Sequence[int]) -> float | None:
    paid = played.paid_wei(contribution)
    return sum(paid[i] for i in private) / sum(paid) if sum(paid) else None


def play_all(scale: Scale, levels: Sequence[Level] = LEVELS) -> list[Outcome]:
    """Every level of every play, on all cores."""
    jobs = [(scale, level, *played, seed) for level, played, seed in product(levels, PLAYED, scale.seeds)]
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_workers=os.cpu_count()) as pool:
        return list(pool.map(run, *zip(*jobs, strict=True), chunksize=4))


# ------------------------------------------------------------------ Markdown


def markdown(outcomes: Sequence[Outcome]) -> str:
    """One row a level: means over the seeds, in percent."""
    all_private = [rule for rule, who in PLAYED if who == "all"]
    heading = ["hidden is", "epsilon", "noise", *(f"accuracy, `{r}`" for r in all_private), "accepted by `multi_krum`"]
    heading += ["half private: accepted of them, of the others"]
    heading += [f"their pay, `{rule}+{contribution}`" for rule, contribution in CONTRIBUTIONS.items()]
    lines = [_row(heading), _row(["---", "---:", "---:", *["---:"] * (len(heading) - 3)])]
    for level in dict.fromkeys(outcome.level for outcome in outcomes):
        found = {
            (rule, who): [o for o in outcomes if (o.level, o.rule, o.who) == (level, rule, who)] for rule, who in PLAYED
        }
        mixed = found["multi_krum", "half"]
        noise = found["none", "all"][0].noise_multiplier
        lines.append(
            _row(
                [
                    {"sample": "a sample", "trainer": "a whole shard", None: "nothing"}[level.unit],
                    f"{level.epsilon:g}" if level.unit else "",
                    f"{noise:.2f}" if noise else "",
                    *(_percent([o.accuracy for o in found[rule, "all"]], 1) for rule in all_private),
                    _percent([o.private_accepted for o in found["multi_krum", "all"]]),
                    f"{_percent([o.private_accepted for o in mixed])}, {_percent([o.others_accepted for o in mixed])}",
                    *(_percent([o.private_paid for o in found[rule, "half"]], 1) for rule in CONTRIBUTIONS),
                ]
            )
        )
    return "\n".join(lines) + "\n"


def _row(values: Sequence[str]) -> str:
    return "| " + " | ".join(values) + " |"


def _percent(shares: Sequence[float | None], digits: int = 0) -> str:
    known = [share for share in shares if share is not None]
    return f"{100 * float(np.mean(known)):.{digits}f}" if known else "nobody"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=__doc__.split("\n")[0])
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
