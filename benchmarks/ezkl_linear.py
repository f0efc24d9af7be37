"""The linear layer as an ezkl circuit: what the update argument is measured against.

It costs slots * (slots + 1) / 2 + 5 slots rows a coordinate, so it fits small models only.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from circuits import graph
from circuits.circuit import Circuit, Settings
from circuits.commitment import SALT_ROWS, Column
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint

MAX_LOGROWS = 20
_MIN_LOGROWS = 10
# Rows beyond the products and the range checks: constants, padding, the last unusable rows.
_SPARE_ROWS = 200


def largest_dim(*, slots: int, logrows: int) -> int:
    """The largest model that a circuit of 2^logrows rows holds: products, and five rows for the range of each entry."""
    return ((1 << logrows) - _SPARE_ROWS) // (slots * (slots + 1) // 2 + 5 * slots)


def rows_of(column: Column) -> list[int]:
    """The dim + 512 rows in front of the zeros: the circuit's input for a slot."""
    return [int(x) for x in column.values] + [int(x) for x in column.salts]


class _GramGraph(torch.nn.Module):
    """columns -> (Gram triangle, range tally).

    Range: the one lookup table holds [lowest, lowest + 2^logrows), so looking up both x and -1 - x leaves
    lowest <= x <= -1 - lowest = highest. At scale 0 the looked-up sigmoid is the step function of x >= 0, and of x and
    -1 - x exactly one is not negative: the tally is slots * dim whatever the data, and says nothing about it.
    """

    def __init__(self, slots: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.left, self.right = torch.triu_indices(slots, slots)

    def forward(self, *columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.stack([column[: self.dim] for column in columns])
        products = torch.einsum("pd,pd->p", rows[self.left], rows[self.right])
        tally = torch.sum(torch.sigmoid(rows) + torch.sigmoid(-1 - rows))
        return products, tally


@dataclass(frozen=True, kw_only=True)
class GramCircuit(Circuit):
    """The linear layer as an ezkl circuit. Inputs: one committed column a slot. Outputs: triangle, slots * dim.

    Attributes:
        slots: columns.
        dim: data rows of a column.
        fmt: the range of an entry.
        logrows: log2 of the rows; also the domain of the commitments.
    """

    slots: int
    dim: int
    fmt: FixedPoint
    logrows: int

    def __post_init__(self) -> None:
        if not _MIN_LOGROWS <= self.logrows <= MAX_LOGROWS:
            raise FieldError("logrows", self.logrows, f"it must lie in [{_MIN_LOGROWS}, {MAX_LOGROWS}]")
        if self.dim + SALT_ROWS + _SPARE_ROWS > 1 << self.logrows or 1 << self.fmt.bits > 1 << (self.logrows - 1):
            raise FieldError("dim", self.dim, f"2^{self.logrows} rows do not hold a column and the lookup table")

    @property
    def name(self) -> str:
        return f"gram-n{self.slots}-d{self.dim}-b{self.fmt.bits}-k{self.logrows}"

    @property
    def settings(self) -> Settings:
        return Settings(logrows=self.logrows, inputs="committed", lookup_range=(self.fmt.lowest, self.fmt.highest))

    @property
    def input_lengths(self) -> tuple[int, ...]:
        return (self.dim + SALT_ROWS,) * self.slots

    @property
    def tally(self) -> int:
        """The public output behind the triangle."""
        return self.slots * self.dim

    def export_onnx(self, path: Path) -> None:
        names = [f"column_{i}" for i in range(self.slots)]
        graph.export(_GramGraph(self.slots, self.dim), self.input_lengths, names, path)
