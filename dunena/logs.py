"""Logging: one line per event on standard error, as text or as JSON.

If standard error can no longer be written (its terminal was closed, its reader ended), the program
goes on without a log.
"""

import logging
from datetime import UTC, datetime

import orjson

from dunena import NAME
from dunena.desktop.terminal import say
from dunena.readable_text import readable_text
from dunena.setting_table import LogFormat, LogLevel


class _JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": readable_text(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = readable_text(self.formatException(record.exc_info))
        return orjson.dumps(line).decode()


class _TextFormatter(logging.Formatter):
    """Formats a record as a line of text, followed by the traceback if it has one."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname.lower():7} {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _Handler(logging.Handler):
    """Writes to standard error by `say`, which ignores errors of writing."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record), error=True)


def set_up_logging(level: LogLevel, form: LogFormat) -> None:
    """Send the records of all modules to standard error, from ``level`` on.

    Libraries are logged from warnings on.
    """
    handler = _Handler()
    handler.setFormatter(_JsonFormatter() if form is LogFormat.JSON else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    own = logging.getLogger(NAME)
    own.setLevel(level.value.upper())
    # Below warnings, libraries log for their own authors: a line per lock or frame.
    root.setLevel(max(own.level, logging.WARNING))


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
