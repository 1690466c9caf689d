"""Structured logs: one event a line, JSON for machines or columns for people. Everything goes to stderr.

What never enters a log: keys, tokens, query strings, mail text. uvicorn would log the whole WebSocket URL with its
key at INFO, and every request's query in its access log: both are silenced here.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor


def _stamp(_logger: object, _name: str, event: EventDict) -> EventDict:
    """The time as ISO 8601 in UTC. By orjson: structlog's own stamp takes five times as long, for each mail."""
    event["timestamp"] = orjson.dumps(datetime.now(UTC), option=orjson.OPT_UTC_Z)[1:-1].decode()
    return event


_PROCESSORS: list[Processor] = [structlog.processors.add_log_level, _stamp]


def configure(log_format: Literal["json", "console"], level: str) -> None:
    """Sets up structlog, and sends what libraries log through the standard library the same way."""
    least = logging.getLevelNamesMapping()[level.upper()]
    renderers = _renderers(log_format)
    structlog.configure(
        processors=[*_PROCESSORS, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        # Straight to stderr: a line by way of the standard library's loggers takes ten times as long, and there is
        # one for each mail.
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer)
        if log_format == "json"
        else structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,  # a process may configure again, as the demo and the tests do
    )
    _route_libraries(renderers, least)


def _route_libraries(renderers: list[Processor], least: int) -> None:
    """Libraries log URLs with their queries at INFO (uvicorn the WebSocket's, HTTP clients all): WARNING at least."""
    handler = logging.StreamHandler(sys.stderr)
    last = [*renderers[:-1], _as_text(renderers[-1])]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_PROCESSORS, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(least, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logging.getLogger(name).setLevel(logging.NOTSET)  # uvicorn sets them to INFO


def _as_text(renderer: Processor) -> Processor:
    def render(logger: object, name: str, event: EventDict) -> str:
        line = renderer(logger, name, event)
        return line.decode() if isinstance(line, bytes) else str(line)

    return render


def _renderers(log_format: Literal["json", "console"]) -> list[Processor]:
    if log_format == "console":
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    # Without local variables: they hold keys and mail.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer(orjson.dumps)]
