"""Log lines: one JSON object a line on standard output, `event` naming what happened, times in UTC."""

import logging
import sys

import structlog

Log = structlog.typing.FilteringBoundLogger


def configure(level: str = "info") -> None:
    """Sets up logging of a process; call it once."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(),
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Looked up at each line, so that it follows a redirected standard output.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stdout),
        cache_logger_on_first_use=False,
    )


def get(**bound: object) -> Log:
    """A logger that adds the given fields to each line."""
    log: Log = structlog.get_logger(**bound)
    return log
