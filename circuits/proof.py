"""A proof as it travels: the bytes that the verifier takes, and the public integers that it speaks of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from circuits.bn254 import SCALAR_MODULUS, G1Point
from circuits.errors import FieldError

_MAX_JSON_BYTES = 4 << 20


@with_config(ConfigDict(extra="forbid", strict=True))
class _Wire(TypedDict):
    proof: str
    instances: list[str]


_WIRE = TypeAdapter(_Wire)


def to_field(value: int) -> int:
    """A signed integer as a scalar: negative x is r - |x|."""
    return value % SCALAR_MODULUS


def from_field(scalar: int) -> int:
    """The inverse of `to_field` for integers of magnitude below r / 2."""
    return scalar if scalar <= SCALAR_MODULUS // 2 else scalar - SCALAR_MODULUS


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Attributes:
    data: the proof; an ezkl proof over committed inputs starts with one 64-byte point an input.
    instances: an ezkl circuit's public inputs, then its outputs; the update argument's Gram triangle.
    """

    data: bytes
    instances: tuple[int, ...]

    def committed_points(self, count: int) -> list[G1Point]:
        """The commitments that a proof over `count` committed inputs is about (FieldError if they are malformed)."""
        if len(self.data) < 64 * count:
            raise FieldError("proof", f"{len(self.data)} bytes", f"{count} points alone take {64 * count}")
        return [G1Point.from_bytes(self.data[64 * i : 64 * (i + 1)]) for i in range(count)]

    def to_json(self) -> str:
        """Instances as decimal strings, for they pass 2^53."""
        return json.dumps({"proof": self.data.hex(), "instances": [str(x) for x in self.instances]})

    @classmethod
    def from_json(cls, text: str) -> "Proof":
        """The inverse of `to_json`.

        Raises:
            FieldError: too large, or not of that form.
        """
        if len(text) > _MAX_JSON_BYTES:
            raise FieldError("proof", f"{len(text)} characters", f"at most {_MAX_JSON_BYTES} are read")
        try:
            raw = _WIRE.validate_json(text)  # unlike the standard library's parser it bounds its own depth
            return cls(data=bytes.fromhex(raw["proof"]), instances=_signed(raw["instances"]))
        except ValueError as error:
            raise FieldError("proof", "malformed JSON", f"it must hold `proof` and `instances` ({error})") from error


def _signed(values: Sequence[str]) -> tuple[int, ...]:
    numbers = tuple(int(x) for x in values)
    if any(2 * abs(x) >= SCALAR_MODULUS for x in numbers):
        raise ValueError("an instance is not a signed scalar")
    return numbers
