"""What a trainer must not forget: the update that it signed for a round, and what quantisation took away."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from circuits.bn254 import G1Point
from clients.training import Vector


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A round's update as it is, or was, sent.

    Attributes:
        data: the update object's bytes, sealed: what was signed is sent, also after a restart.
    """

    round: int
    point: G1Point
    data: bytes


class Memory:
    """A directory of one trainer and task. A second, other update of a round would be refused, so the first is kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def pending(self, round: int) -> Pending | None:
        """The round's update, if it was made before."""
        try:
            point = json.loads((self._directory / f"{round}.json").read_text())
            data = (self._directory / f"{round}.update").read_bytes()
        except FileNotFoundError:
            return None
        return Pending(round=round, point=G1Point(int(point["x"]), int(point["y"])), data=data)

    def residual(self, dim: int) -> Vector:
        """float64[dim]: what the last update left behind; zeros at first."""
        path = self._directory / "residual.npy"
        if not path.exists():
            return np.zeros(dim)
        residual: Vector = np.load(path, allow_pickle=False)
        return residual

    def remember(self, pending: Pending, residual: Vector) -> None:
        """Keeps a round's update; the .json is written last, and says that the others are whole."""
        self._write(f"{pending.round}.update", pending.data)
        path = self._directory / "residual.npy.tmp"
        with path.open("wb") as file:
            np.save(file, residual, allow_pickle=False)
        path.replace(self._directory / "residual.npy")
        point = {"x": str(pending.point.x), "y": str(pending.point.y)}
        self._write(f"{pending.round}.json", json.dumps(point).encode())

    def keep_receipt(self, round: int, receipt: bytes) -> None:
        """Keeps the aggregator's signed word, which is worth something in a dispute."""
        self._write(f"{round}.receipt", receipt)

    def _write(self, name: str, data: bytes) -> None:
        path = self._directory / (name + ".tmp")
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.replace(self._directory / name)
