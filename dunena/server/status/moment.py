"""What the figures of a server are read from, and a reader of them at one time."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from dunena.dialects.grants import Grant
from dunena.dialects.services import Services
from dunena.persistence.interface import NO_DISK, DiskStatus, Engine
from dunena.sessions.session_table import SessionTable
from dunena.store.store import Store
from dunena.telemetry import Telemetry

if TYPE_CHECKING:
    from dunena.persistence.log import Log
    from dunena.server.status.store_report import StoreReport


class TextFilesStatus(Protocol):
    """How the text files are; texts may name keys."""

    @property
    def failure(self) -> str | None:
        """What is not as it should be; None if all is well."""

    @property
    def written(self) -> int:
        """How many files were written since the start."""

    @property
    def failures(self) -> int:
        """How often a file could not be written since the start."""

    @property
    def last_error(self) -> str | None:
        """The reason of the last of these failures; None if there was none."""


class _NoTextFiles:
    """For a server without text files."""

    failure = last_error = None
    written = failures = 0


_NO_TEXT_FILES = _NoTextFiles()


class Sources:
    """The objects of one server from which its figures are read.

    ``text_files`` is None without any, ``log`` without a store that is shared with other servers:
    then ``clock_ms`` is this machine's clock (Unix ms), as requests have the log's time.
    """

    def __init__(
        self,
        services: Services,
        engine: Engine,
        disk: DiskStatus | None,
        telemetry: Telemetry,
        sessions: SessionTable[Grant],
        text_files: TextFilesStatus | None = None,
        log: "Log | None" = None,
        clock_ms: Callable[[], int] | None = None,
    ) -> None:
        self.services = services
        self.engine = engine
        self.disk = disk or NO_DISK
        self.telemetry = telemetry
        self.sessions = sessions
        self.text_files = text_files
        self.clock_ms = clock_ms
        self.shared = None if log is None else _report_on(log)


def _report_on(log: "Log") -> "StoreReport":
    from dunena.server.status.store_report import StoreReport  # most servers have no such store

    return StoreReport(log)


class FigureRow(Protocol):
    """A row of the table of figures."""

    @property
    def read(self) -> "Callable[[Moment], float]":
        """What reads it."""


class Moment:
    """The figures of one server at one time; ``now`` is in Unix ms.

    ``rows`` are those of the table of figures, by name and label.
    """

    __slots__ = (
        "_rows",
        "disk",
        "now",
        "services",
        "sessions",
        "shared",
        "store",
        "telemetry",
        "text_files",
    )

    def __init__(
        self, sources: Sources, rows: Mapping[tuple[str, str], FigureRow], now: int
    ) -> None:
        self._rows = rows
        self.services: Services = sources.services
        self.store: Store = sources.services.unrestricted_store
        self.disk: DiskStatus = sources.disk
        self.telemetry: Telemetry = sources.telemetry
        self.sessions: SessionTable[Grant] = sources.sessions
        self.text_files: TextFilesStatus = sources.text_files or _NO_TEXT_FILES
        self.shared: StoreReport | None = sources.shared
        self.now: int = now

    def value(self, name: str, label: str = "") -> float:
        """Read one figure of the table, an integer if it counts; raise `KeyError`."""
        return self._rows[name, label].read(self)

    @property
    def uptime_seconds(self) -> int:
        """Whole seconds since the server's start."""
        return int(self.value("uptime_seconds"))
