"""What users import: trainers and owners of tasks.

from clients import Trainer, Owner
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clients.blocking import Owner as Owner
    from clients.blocking import Trainer as Trainer

__all__ = ["Owner", "Trainer"]


def __getattr__(name: str) -> Any:
    """Loaded when asked for: the command line starts without them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from clients import blocking  # noqa: PLC0415

    return getattr(blocking, name)
