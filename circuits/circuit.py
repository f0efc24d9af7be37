"""What every circuit is: an ONNX graph and the settings under which it is sound."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The part of ezkl's settings that differs between circuits (the rest is fixed in `circuits.prover`).

    Attributes:
        logrows: log2 of the circuit's rows.
        decomposition_base, decomposition_legs: digits of the largest compared magnitude; an overflow fails the witness.
            The base must stay below 2^logrows, for its lookup table must fit one column.
        lookup_range: inclusive range that static lookups are filled from.
        inputs: "public" integers, or "committed" columns (one KZG point an input, in front of the proof).
    """

    logrows: int
    inputs: Literal["public", "committed"]
    decomposition_base: int = 256
    decomposition_legs: int = 6
    lookup_range: tuple[int, int] = (-2, 2)


class Circuit(ABC):
    """A statement that can be proven. Subclasses are frozen dataclasses, so that a worker can receive them."""

    @property
    @abstractmethod
    def name(self) -> str:
        """A short name with the parameters that the keys depend on, usable as a file name."""

    @property
    @abstractmethod
    def settings(self) -> Settings: ...

    @property
    @abstractmethod
    def input_lengths(self) -> tuple[int, ...]:
        """Entries of each input vector, in order."""

    @abstractmethod
    def export_onnx(self, path: Path) -> None:
        """Writes the graph: fixed shapes, float64 tensors that hold integers below 2^53."""
