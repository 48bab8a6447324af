"""One line per event on standard error, for people or as JSON.

A program whose standard error is gone (its terminal closed, its reader dead) goes on without.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

import orjson

from dunena.settings import LogFormat, LogLevel


class _JsonFormatter(logging.Formatter):
    """A record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


class _TextFormatter(logging.Formatter):
    """A record as people read it."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname.lower():7} {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _Handler(logging.StreamHandler[TextIO]):
    """Writes where it still can; a log that nobody can read is no reason to fail."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if not isinstance(sys.exc_info()[1], OSError | ValueError):
            super().handleError(record)


def set_up_logging(level: LogLevel, form: LogFormat) -> None:
    """Send the logs of all modules to standard error."""
    if sys.stderr is None:
        return  # a windowed program has none
    handler = _Handler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if form is LogFormat.JSON else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.value.upper())
    # Their lines at info are one per connection, frame or change of a file.
    for chatty in ("websockets", "watchfiles"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
