"""Gram matrices that rules meet: of real vectors, with ties, zeros, inactive slots, and entries at the limits."""

import numpy as np
from hypothesis import strategies as st

SLOTS = 8


@st.composite
def rounds(draw: st.DrawFn, slots: int = SLOTS, f: int = 2) -> tuple[list[list[int]], list[int]]:
    """(gram, active) of a round with enough active slots for multi-Krum."""
    count = draw(st.integers(2 * f + 3, slots))
    dim = draw(st.integers(1, 6))
    entry = draw(st.sampled_from([st.integers(-128, 127), st.integers(-1, 1), st.sampled_from([-128, 127])]))
    vectors = draw(st.lists(st.lists(entry, min_size=dim, max_size=dim), min_size=count, max_size=count))
    if draw(st.booleans()):
        vectors[1] = vectors[0]  # a tie, and the same update twice
    repeat = draw(st.sampled_from([1, 650, 100_000]))  # the same shape at a larger dim
    rows = np.zeros((slots, dim), dtype=object)
    rows[:count] = np.array(vectors, dtype=object)
    gram = (rows @ rows.T) * repeat
    return [[int(x) for x in row] for row in gram], [1] * count + [0] * (slots - count)
