"""The Gram matrix of committed updates: the integer reference.

G[i][j] = sum over l < dim of u_i[l] u_j[l].
"""

from collections.abc import Sequence

import numpy as np

from circuits.commitment import Column
from circuits.errors import FieldError


def gram(columns: Sequence[Column]) -> list[list[int]]:
    """The exact Gram matrix of the columns' data rows (the salts are not part of it)."""
    stacked = np.stack([column.values for column in columns])
    if int(np.abs(stacked).max(initial=0)) ** 2 * stacked.shape[1] < 1 << 62:
        return [[int(x) for x in row] for row in stacked @ stacked.T]
    wide = stacked.astype(object)
    return [[int(x) for x in row] for row in wide @ wide.T]


def upper_triangle(matrix: Sequence[Sequence[int]]) -> list[int]:
    """Entries (i, j), i <= j, row by row: the order in which a Gram matrix travels."""
    return [int(matrix[i][j]) for i in range(len(matrix)) for j in range(i, len(matrix))]


def padded(matrix: Sequence[Sequence[int]], slots: int) -> list[list[int]]:
    """The matrix over all slots: 0 wherever a slot is empty."""
    empty = slots - len(matrix)
    return [[*map(int, row), *[0] * empty] for row in matrix] + [[0] * slots for _ in range(empty)]


def full_matrix(triangle: Sequence[int], slots: int) -> list[list[int]]:
    """The inverse of `upper_triangle`.

    Raises:
        FieldError: the triangle is not of slots * (slots + 1) / 2 entries.
    """
    expected = slots * (slots + 1) // 2
    if len(triangle) != expected:
        raise FieldError("gram", f"{len(triangle)} entries", f"{slots} slots have {expected}")
    entries = iter(triangle)
    matrix = [[0] * slots for _ in range(slots)]
    for i in range(slots):
        for j in range(i, slots):
            matrix[i][j] = matrix[j][i] = int(next(entries))
    return matrix
