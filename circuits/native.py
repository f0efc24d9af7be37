"""The one door to the Rust crate's errors: they leave `circuits` as its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import merit_native

from circuits import errors

Progress = Callable[[str, int, int], bool | None]
"""Called as (stage, steps done, steps in all); an answer of False ends the work."""


@contextmanager
def translated() -> Iterator[None]:
    """Raises what the crate raises as the error of `circuits` that says the same."""
    try:
        yield
    except merit_native.FieldError as error:
        raise errors.FieldError(error.field, error.got, error.limit) from error
    except merit_native.OutOfRange as error:
        limit = f"it must lie in [{-error.limit}, {error.limit})"
        raise errors.FieldError(f"columns[{error.column}][{error.row}]", error.value, limit) from error
    except merit_native.GramTooLarge as error:
        where = f"gram[{error.row}][{error.column}]"
        raise errors.FieldError(where, "2^62 or more", "a magnitude must be below 2^62") from error
    except merit_native.CommitmentMismatch as error:
        raise errors.CommitmentMismatch(str(error)) from error
    except merit_native.SrsError as error:
        raise errors.SrsError(str(error)) from error
    except merit_native.InvalidProof as error:
        raise errors.InvalidProof(str(error)) from error
    except merit_native.Cancelled as error:
        raise errors.ProofCancelled("it was cancelled") from error
    except merit_native.NativeError as error:
        raise errors.ProverError(str(error)) from error
