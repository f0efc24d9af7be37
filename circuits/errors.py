"""Typed errors of `circuits`. Each names the field that is wrong and the limit it broke."""


class CircuitError(Exception):
    """Root of every error raised by `circuits`."""


class FieldError(CircuitError, ValueError):
    """A value is outside what its field allows.

    Attributes:
        field: name of the offending field.
        limit: what would have been accepted, in words.
    """

    def __init__(self, field: str, got: object, limit: str) -> None:
        super().__init__(f"{field}: got {got}, but {limit}")
        self.field = field
        self.limit = limit
        self._arguments: tuple[object, ...] = (field, got, limit)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), self._arguments


class NotFinite(FieldError):
    """An update holds NaN or infinity: never turned into a number.

    Attributes:
        index: position of the first such entry.
    """

    def __init__(self, index: int, value: float) -> None:
        super().__init__(f"update[{index}]", value, "every entry must be a finite number")
        self.index = index
        self._arguments = (index, value)


class CommitmentMismatch(CircuitError):
    """A column does not open the commitment that it was handed with."""


class SrsError(CircuitError):
    """A structured reference string is malformed, missing, or not allowed where it is used."""


class ProverError(CircuitError):
    """ezkl refused: the message carries the step and the library's own words."""


class ProverCrashed(ProverError):
    """The worker process died (a panic in native code, or out of memory)."""


class UnsoundCircuit(ProverError):
    """The compiled circuit leaves values unconstrained, so its proofs would mean nothing."""


class InvalidProof(ProverError):
    """A proof does not verify for its statement."""


class ProofCancelled(ProverError):
    """A proof, or a string, was not finished because its caller did not want it any more."""
