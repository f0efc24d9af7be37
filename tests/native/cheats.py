"""Provers that lie: each returns a statement and a proof that no verifier may accept."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from circuits.bn254 import SCALAR_MODULUS as R
from tests.native.oracle import Rows, Setup, column, gram_of, make_setup, prove
from tests.native.polynomials import combine, root_of_unity
from tests.native.statement import Gram, Proof, Statement

K, DIM, BITS, BITS0, COLUMNS = 10, 20, 4, 6, 2
CONTEXT = bytes(range(32))


@dataclass(frozen=True)
class Scene:
    """A small true statement, for cheats to depart from."""

    setup: Setup
    columns: list[Rows]
    rng: random.Random

    @property
    def gram(self) -> Gram:
        return gram_of(self.columns, DIM)

    def with_gram(self, i: int, j: int, change: int) -> Gram:
        gram = self.gram
        gram[i][j] += change
        if i != j:
            gram[j][i] += change
        return gram

    def with_row(self, of_column: int, row: int, value: int) -> "Scene":
        columns = [rows[:] for rows in self.columns]
        columns[of_column][row] = value
        return replace(self, columns=columns)

    def proven(
        self, *, gram: Gram | None = None, tamper: Callable[[str, Any], Any] | None = None, old_order: bool = False
    ) -> tuple[Statement, Proof]:
        """What a prover sends who goes on as if nothing were wrong."""

        def anything(_: str, message: Any) -> Any:
            return message

        claimed = self.gram if gram is None else gram
        return prove(
            self.setup, self.columns, claimed, CONTEXT, self.rng, tamper or anything, u_before_openings=old_order
        )

    def tampered(self, name: str, change: Callable[[Any], Any]) -> tuple[Statement, Proof]:
        """With one message changed before it is sent, and everything after it computed from the change."""
        return self.proven(tamper=lambda at, message: change(message) if at == name else message)


def make_scene(seed: int) -> Scene:
    rng = random.Random(seed)
    setup = make_setup(k=K, dim=DIM, bits=BITS, bits0=BITS0, tau=rng.randrange(R))
    widths = [BITS0] + [BITS] * (COLUMNS - 1)
    values = [[rng.randrange(-(1 << (w - 1)), 1 << (w - 1)) for _ in range(DIM)] for w in widths]
    return Scene(setup, [column(setup.key, x, w, rng) for x, w in zip(values, widths, strict=True)], rng)


Cheat = Callable[[Scene], tuple[Statement, Proof]]


def _row(of_column: int, row: int, value: int) -> Cheat:
    """A row outside the range; the Gram matrix is the true one of what was committed."""
    return lambda scene: scene.with_row(of_column, row, value).proven()


def _gram(i: int, j: int, change: int) -> Cheat:
    return lambda scene: scene.proven(gram=scene.with_gram(i, j, change))


def _digit(row: int, change_digit: Callable[[int], int]) -> Cheat:
    def change(digits: list[list[Rows]]) -> list[list[Rows]]:
        digits[1][0][row] = change_digit(digits[1][0][row])
        return digits

    return lambda scene: scene.tampered("digits", change)


def _top_digit_too_big(scene: Scene) -> tuple[Statement, Proof]:
    """The value 2^(b-1) = 4^(m-1) * 4 - 2^(b-1), with a highest digit of 4 and a sound remainder."""
    beyond = scene.with_row(1, 3, 1 << (BITS - 1))

    def change(digits: list[list[Rows]]) -> list[list[Rows]]:
        digits[1][-1][3] = 4
        return digits

    return beyond.tampered("digits", change)


def _evaluation(index: int, change: Callable[[int], int]) -> Cheat:
    def changed(evaluations: list[int]) -> list[int]:
        evaluations[index] = change(evaluations[index]) % R
        return evaluations

    return lambda scene: scene.tampered("evaluations", changed)


def _two_evaluations_swapped(scene: Scene) -> tuple[Statement, Proof]:
    return scene.tampered("evaluations", lambda e: [e[1], e[0], *e[2:]])


def _sum_that_wraps(scene: Scene) -> tuple[Statement, Proof]:
    """Two huge rows whose squares cancel in the field: the Gram matrix of the column without them, satisfied."""
    root_of_minus_one = root_of_unity(2)
    gram = scene.with_row(0, 3, 0).with_row(0, 4, 0).with_row(1, 3, 0).with_row(1, 4, 0).gram
    huge = scene.with_row(0, 3, 0).with_row(0, 4, 0).with_row(1, 3, 1 << 100)
    return huge.with_row(1, 4, (root_of_minus_one << 100) % R).proven(gram=gram)


def _other_srs(scene: Scene) -> tuple[Statement, Proof]:
    """Commitments of a string with another tau than the key's."""
    return replace(scene, setup=Setup(scene.setup.key, scene.setup.tau + 1)).proven()


def _z(change: Callable[[Rows], Rows]) -> Cheat:
    return lambda scene: scene.tampered("z", change)


def _quotients(change: Callable[[list[list[int]]], list[list[int]]]) -> Cheat:
    return lambda scene: scene.tampered("quotients", change)


def _selector(scene: Scene) -> tuple[Statement, Proof]:
    """The prover counts one row more than the key's selector, and claims the Gram matrix of that."""
    gram = gram_of(scene.columns, DIM + 1)
    longer = [1] * (DIM + 1) + [0] * (scene.setup.key.n - DIM - 1)
    return scene.proven(gram=gram, tamper=lambda at, message: longer if at == "selector" else message)


def _points(change: Callable[[list[Any]], list[Any]]) -> Cheat:
    return lambda scene: scene.tampered("points", change)


CHEATS: dict[str, Cheat] = {
    "gram_entry": _gram(0, 1, 1),
    "gram_diagonal_first": _gram(0, 0, -1),
    "gram_diagonal_last": _gram(1, 1, 1),
    "row_above": _row(1, 0, 1 << (BITS - 1)),
    "row_below": _row(1, DIM - 1, -(1 << (BITS - 1)) - 1),
    "row_above_in_wide_column": _row(0, 5, 1 << (BITS0 - 1)),
    "row_of_wide_range_in_narrow_column": _row(1, 5, (1 << (BITS0 - 1)) - 1),
    "rows_that_wrap": _sum_that_wraps,
    "salt_above": _row(1, DIM, 1 << (BITS - 1)),
    "zero_row_below": _row(0, DIM + 512, -(1 << (BITS0 - 1)) - 1),
    "tail_above": _row(1, -1, 1 << (BITS - 1)),
    "digit_of_another_value": _digit(0, lambda d: (d + 1) % 4),
    "digit_four": _top_digit_too_big,
    "digit_negative": _digit(2, lambda _: -1),
    "digit_in_tail": _digit(-1, lambda d: (d + 1) % 4),
    "z_random": _z(lambda rows: [(x * x + 1) % R for x in rows]),
    "z_one_row": _z(lambda rows: [*rows[:9], (rows[9] + 1) % R, *rows[10:]]),
    "z_shifted": _z(lambda rows: [*rows[1:], rows[0]]),
    "quotients_swapped": _quotients(lambda q: [q[1], q[0], q[2]]),
    "quotients_rotated": _quotients(lambda q: [q[1], q[2], q[0]]),
    "quotient_0": _quotients(lambda q: [combine([q[0], [1]], [1, 1]), q[1], q[2]]),
    "quotient_1": _quotients(lambda q: [q[0], combine([q[1], [0, 1]], [1, 1]), q[2]]),
    "quotient_2_dropped": _quotients(lambda q: [q[0], q[1], [1]]),
    "evaluation_v0": _evaluation(0, lambda x: x + 1),
    "evaluation_digit": _evaluation(2, lambda x: x + 1),
    "evaluation_selector": _evaluation(-3, lambda _: 1),
    "evaluation_z": _evaluation(-2, lambda x: x - 1),
    "evaluation_z_shifted": _evaluation(-1, lambda x: x + 1),
    "evaluations_swapped": _two_evaluations_swapped,
    "opening": lambda scene: scene.tampered("opening", lambda p: combine([p, [1]], [1, 1])),
    "shifted_opening": lambda scene: scene.tampered("shifted opening", lambda p: combine([p, [1]], [1, 1])),
    "commitments_swapped": _points(lambda points: points[::-1]),
    "commitment_repeated": _points(lambda points: [points[0], points[0]]),
    "selector_of_another_dim": _selector,
    "other_srs": _other_srs,
    "forged_against_early_u": lambda scene: scene.proven(gram=scene.with_gram(0, 1, 1), old_order=True),
}
