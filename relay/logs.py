"""Structured logs: one event a line, JSON for machines or columns for people. Everything goes to stderr.

What never enters a log: keys, tokens, query strings, mail text. uvicorn would log the whole WebSocket URL with its
key at INFO, and every request's query in its access log: both are silenced here.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor

from relay.log_writer import LogWriter


def _stamp(_logger: object, _name: str, event: EventDict) -> EventDict:
    """The time as ISO 8601 in UTC. By orjson: structlog's own stamp takes five times as long, for each mail."""
    event["timestamp"] = orjson.dumps(datetime.now(UTC), option=orjson.OPT_UTC_Z)[1:-1].decode()
    return event


_PROCESSORS: list[Processor] = [structlog.processors.add_log_level, _stamp]


def configure(log_format: Literal["json", "console"], level: str, *, forks: bool = False) -> None:
    """Sets up structlog, and sends what libraries log through the standard library the same way.

    ``forks``: see :class:`relay.log_writer.LogWriter`.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    renderers = _renderers(log_format)
    lines = _Lines(LogWriter(sys.stderr.buffer, told=partial(_dropped_line, renderers[-1]), forks=forks))
    structlog.configure(
        processors=[*_PROCESSORS, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        # Straight to the writer: a line by way of the standard library's loggers takes ten times as long, and there
        # is one for each mail.
        logger_factory=lines,
        cache_logger_on_first_use=False,  # a process may configure again, as the demo and the tests do
    )
    _route_libraries(renderers, least, lines)


def dropped() -> int:
    """Lines that could not be written since the process began."""
    lines = structlog.get_config()["logger_factory"]
    return lines.writer.dropped if isinstance(lines, _Lines) else 0


def flush() -> None:
    """For who ends the process without Python's own end: waits for the last lines, for a bounded time."""
    lines = structlog.get_config()["logger_factory"]
    if isinstance(lines, _Lines):
        lines.writer.flush()


class _Lines:
    """structlog's logger, and its own factory: hands each line to the writer."""

    def __init__(self, writer: LogWriter) -> None:
        self.writer = writer

    def __call__(self, *_args: Any) -> _Lines:
        return self

    def msg(self, line: bytes | str) -> None:
        text = line if isinstance(line, bytes) else line.encode(errors="backslashreplace")
        self.writer.put(text + b"\n")

    log = debug = info = warning = error = critical = exception = failure = fatal = msg


class _Handler(logging.Handler):
    """The standard library's way to the same writer."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.msg(self.format(record))
        except Exception:  # noqa: BLE001  # a library's record that cannot be formatted must not end its caller
            self._lines.msg(f"a line of {record.name} cannot be shown")


def _dropped_line(renderer: Processor, lines: int) -> bytes:
    event: EventDict = {"event": "log.dropped", "lines": lines, "level": "warning"}
    line = renderer(None, "warning", _stamp(None, "warning", event))
    return (line if isinstance(line, bytes) else str(line).encode()) + b"\n"


def _json(event: EventDict, **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=repr)
    except TypeError:  # half a surrogate pair, a number of over 64 bits: rather told differently than not at all
        return json.dumps(event, default=repr, skipkeys=True).encode()


def _route_libraries(renderers: list[Processor], least: int, lines: _Lines) -> None:
    """Libraries log URLs with their queries at INFO (uvicorn the WebSocket's, HTTP clients all): WARNING at least."""
    handler = _Handler(lines)
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
    return [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer(_json)]
