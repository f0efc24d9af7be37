"""Log lines: one JSON object a line on standard output, `event` naming what happened, times in UTC.

What is bound with `bind` (task, round, request) is in every line of the same asyncio task, whoever writes it.
"""

import logging
import sys

import structlog

Log = structlog.typing.FilteringBoundLogger

bind = structlog.contextvars.bind_contextvars
bound = structlog.contextvars.bound_contextvars


def configure(level: str = "info", *, human: bool = False, aside: bool = False) -> None:
    """Sets up logging of a process; call it once.

    Args:
        aside: on standard error, where standard output is for a result.
        human: lines for eyes instead of JSON. Tracebacks never show variables: they could hold a key.
    """
    rendering: list[structlog.typing.Processor] = [
        structlog.processors.ExceptionRenderer(),
        structlog.processors.JSONRenderer(default=str),
    ]
    if human:
        rendering = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback, pad_event_to=24)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Looked up at each line, so that it follows a redirected standard output.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr if aside else sys.stdout),
        cache_logger_on_first_use=False,
    )


def get(**fields: object) -> Log:
    """A logger that adds the given fields to each line."""
    log: Log = structlog.get_logger(**fields)
    return log
