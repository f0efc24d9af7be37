"""Gram matrices that rules meet: of real vectors, with ties, zeros, inactive slots, anchors, and extreme entries."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from circuits.rules import Anchor, Rule

SLOTS = 8


@dataclass(frozen=True, kw_only=True)
class Round:
    """Vectors [slots][dim], their Gram matrix times `repeat` (as if each were repeated), and active bits."""

    vectors: list[list[int]]
    repeat: int
    active: list[int]

    @property
    def gram(self) -> list[list[int]]:
        rows = np.array(self.vectors, dtype=object)
        return [[int(x) for x in row] for row in (rows @ rows.T) * self.repeat]

    def __repr__(self) -> str:
        return f"Round(vectors={self.vectors}, repeat={self.repeat}, active={self.active})"


@st.composite
def rounds(
    draw: st.DrawFn,
    slots: int = SLOTS,
    *,
    least: int = 1,
    anchor: Anchor = Anchor.NONE,
    repeats: tuple[int, ...] = (1, 650, 100_000),
    entries: tuple[int, int] = (-128, 127),
) -> Round:
    """A round with at least `least` active slots; slot 0 is the anchor's, if there is one."""
    low, high = entries
    dim = draw(st.integers(1, 6))
    entry = draw(st.sampled_from([st.integers(low, high), st.integers(-1, 1), st.sampled_from([low, high])]))
    vector = st.lists(entry, min_size=dim, max_size=dim)
    vectors = draw(st.lists(vector, min_size=slots, max_size=slots))
    if draw(st.booleans()):
        vectors[2] = vectors[1]  # a tie, and the same update twice
    first = int(anchor is not Anchor.NONE)
    count = draw(st.integers(min(least, slots - first), slots - first))
    chosen = set(draw(st.permutations(range(first, slots)))[:count])
    active = [int(i in chosen) for i in range(slots)]
    if anchor is Anchor.PREVIOUS_SUM:
        taken = draw(st.lists(st.integers(0, slots - 1), max_size=slots - 1))
        vectors[0] = [sum(vectors[i][k] for i in taken) for k in range(dim)]
    for i in range(first, slots):
        if not active[i]:
            vectors[i] = [0] * dim  # the empty slot's public column
    return Round(vectors=vectors, repeat=draw(st.sampled_from(repeats)), active=active)


def parameters(rule: Rule, *, largest_norm: int = 1 << 40) -> st.SearchStrategy[dict[str, int]]:
    """Values for every parameter of the rule, the ends of the ranges among them; bounds of norms near the norms."""
    ranges = {p.name: (p.low, min(p.high, largest_norm)) for p in rule.params_schema}
    if "f" in ranges:
        ranges["f"] = (0, 1)
    return st.fixed_dictionaries({name: st.integers(low, high) for name, (low, high) in ranges.items()})


def least_active(rule: Rule) -> int:
    """So many active slots that every value of `parameters` is allowed."""
    return 5 if rule.outlier.name == "multi_krum" else 1
