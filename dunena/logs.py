"""One line per event on standard error, for people or as JSON.

A program whose standard error is gone (its terminal closed, its reader dead) goes on without.
"""

import logging
from datetime import UTC, datetime

import orjson

from dunena import NAME
from dunena.desktop.terminal import say
from dunena.setting_table import LogFormat, LogLevel


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


class _Handler(logging.Handler):
    """Writes where somebody may still read; a log that nobody can is no reason to fail."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record), error=True)


def set_up_logging(level: LogLevel, form: LogFormat) -> None:
    """Send the logs of all modules to standard error."""
    handler = _Handler()
    handler.setFormatter(_JsonFormatter() if form is LogFormat.JSON else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    own = logging.getLogger(NAME)
    own.setLevel(level.value.upper())
    # Below a warning, what libraries say is for their authors: a line per lock or frame.
    root.setLevel(max(own.level, logging.WARNING))


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
