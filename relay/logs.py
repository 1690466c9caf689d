"""Structured logs: one event a line, JSON for machines or columns for people. Everything goes to stderr.

What never enters a log: keys, tokens, query strings, mail text. uvicorn would log the whole WebSocket URL with its
key at INFO, and every request's query in its access log: both are silenced here.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import Processor


def configure(log_format: Literal["json", "console"], level: str) -> None:
    """Sets up structlog, and sends what libraries log through the standard library the same way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a process may configure again, as the demo and the tests do
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()], processors=_renderers(log_format)
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries log URLs with their queries at INFO (uvicorn the WebSocket's, HTTP clients all): WARNING at least.
    root.setLevel(max(least, logging.WARNING))
    logging.getLogger("relay").setLevel(least)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logging.getLogger(name).setLevel(logging.NOTSET)  # uvicorn sets them to INFO


def _renderers(log_format: Literal["json", "console"]) -> list[Processor]:
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log_format == "console":
        return [meta, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    # Without local variables: they hold keys and mail.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        meta,
        structlog.processors.ExceptionRenderer(tracebacks),
        structlog.processors.JSONRenderer(sort_keys=False),
    ]
