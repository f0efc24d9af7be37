"""A market's rounds in exact integers, without network, chain or proofs.

Training and attacks are in floats, as on the trainers' machines. From quantisation on everything is what the proofs
show: the Gram matrix, the rule's integer reference, the scores, the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits import rules
from circuits.commitment import SALT_ROWS, Column
from circuits.fixedpoint import FixedPoint, dequantize, quantize
from circuits.linear.gram import gram
from circuits.model import denominator, fold, genesis
from circuits.rules.base import Anchor
from clients.attacks import Attack, Scene
from clients.local_training import LocalTraining
from clients.parameters import Vector

REWARD_PER_ROUND_WEI = 10**18

Gram = list[list[int]]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the market of a run fixes.

    Attributes:
        fmt: number format of updates.
        outlier, params: the outlier rule and its public parameters.
        contributions: rules to score by; the model and who is accepted do not depend on them.
    """

    fmt: FixedPoint
    outlier: str
    params: Mapping[str, int]
    contributions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who takes part.

    Attributes:
        trains: one a trainer, on its own shard; an attacker's after `Attack.poison`.
        reference: the owner's own training, for the rules that compare with it.
        attackers: which trainers attack.
        attack: how; None if nobody does.
    """

    trains: Sequence[LocalTraining]
    reference: LocalTraining
    attackers: tuple[int, ...] = ()
    attack: Attack | None = None

    @property
    def honest(self) -> list[int]:
        return [i for i in range(len(self.trains)) if i not in self.attackers]


@dataclass(frozen=True, kw_only=True, eq=False)
class Round:
    """One round.

    Attributes:
        start: float64[dim], the model that training began with.
        changes: float64[trainers, dim], the updates as quantised, in floats.
        accept: one a trainer.
        scores: by contribution rule, one a trainer.
        clipped_share: the largest share of clipped entries among the honest updates.
    """

    start: Vector
    changes: NDArray[np.float64]
    accept: list[int]
    scores: dict[str, list[int]]
    clipped_share: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """All rounds, and the model after the last one (float64[dim])."""

    rounds: list[Round]
    final: Vector

    def paid_wei(self, contribution: str) -> list[int]:
        """What each trainer earned: the reward of each round split by score, rounded down."""
        paid = [0] * len(self.rounds[0].accept)
        for played in self.rounds:
            scores = played.scores[contribution]
            total = sum(scores)
            for i, score in enumerate(scores):
                paid[i] += REWARD_PER_ROUND_WEI * score // total if total else 0
        return paid


def play(cast: Cast, terms: Terms, start: Vector, *, rounds: int, seed: int) -> Run:
    """Plays a task. The same for the same seed, if training is.

    Args:
        start: float64[dim], the first model.
        seed: of the attackers' noise.
    Raises:
        FieldError: the rule is not defined for so many trainers, or such parameters, or could not be proven for such
            a model.
    """
    slots, fmt = len(cast.trains), terms.fmt
    for contribution in terms.contributions:
        rule = rules.load(terms.outlier, contribution)
        rule.limits(slots + (rule.anchor is not Anchor.NONE), len(start), fmt.bits)
    model = genesis(start, fmt, slots)
    residuals = np.zeros((slots + 1, len(start)))
    previous_sum = np.zeros(len(start), dtype=np.int64)
    last = dequantize(model.values, fmt, denominator=denominator(slots))
    played = []
    for number in range(rounds):
        begin = dequantize(model.values, fmt, denominator=denominator(slots))
        changes = _changes(cast, begin, begin - last, number, np.random.default_rng([seed, number]))
        quantized = [quantize(row + left, fmt) for row, left in zip(changes, residuals, strict=True)]
        residuals = np.stack([q.residual for q in quantized])
        columns = [_column(q.values) for q in quantized]
        matrix = gram([_column(previous_sum), *columns])
        accept, scores = _judge(matrix, terms)
        taken = [c for c, accepted in zip(columns[1:], accept, strict=True) if accepted]
        model = fold(model, taken, slots)
        previous_sum = np.sum([c.values for c in taken], axis=0) if taken else np.zeros_like(previous_sum)
        played.append(
            Round(
                start=begin,
                changes=np.stack([dequantize(q.values, fmt) for q in quantized[1:]]),
                accept=accept,
                scores=scores,
                clipped_share=max(quantized[1 + i].clipped_share for i in cast.honest),
            )
        )
        last = begin
    return Run(rounds=played, final=dequantize(model.values, fmt, denominator=denominator(slots)))


def _changes(cast: Cast, begin: Vector, previous: Vector, number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """float64[1 + trainers, dim]: the owner's reference, then what each trainer sends before quantisation."""
    rows = [train(begin.copy(), number, None) - begin for train in (cast.reference, *cast.trains)]
    changes = np.stack(rows)
    if cast.attack is not None:
        at = [1 + i for i in cast.attackers]
        seen = changes[[1 + i for i in cast.honest]]
        changes[at] = cast.attack.craft(Scene(own=changes[at], seen=seen, previous=previous, rng=rng))
    return changes


def _column(values: NDArray[np.int64]) -> Column:
    return Column(values=values.astype(np.int64), salts=np.zeros(SALT_ROWS, dtype=np.int64))


def _judge(matrix: Gram, terms: Terms) -> tuple[list[int], dict[str, list[int]]]:
    """Who is accepted, and the scores by each rule that goes with the outlier rule.

    Args:
        matrix: of the previous sum, the owner's reference, and the updates.
    """
    accepts, scores = [], {}
    for contribution in terms.contributions:
        rule = rules.load(terms.outlier, contribution)
        rows = [*_ANCHOR_ROWS[rule.anchor], *range(2, len(matrix))]
        active = [int(row >= 2) for row in rows]
        accept, score = rule.reference([[matrix[i][j] for j in rows] for i in rows], active, **terms.params)
        accepts.append(accept[rows.index(2) :])
        scores[contribution] = score[rows.index(2) :]
    assert all(accept == accepts[0] for accept in accepts), "the anchor's slot changes nobody's acceptance"
    return accepts[0], scores


_ANCHOR_ROWS = {Anchor.NONE: [], Anchor.PREVIOUS_SUM: [0], Anchor.REFERENCE: [1]}
