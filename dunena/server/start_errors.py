"""Why a server does not start, in one line that says what to do."""

import errno
import sys

from dunena import DEFAULT_PORT, PORT_MAX
from dunena.server.listeners import BindError
from dunena.settings import Settings

KEPT_PORTS = 100
"""Length of most ranges of ports that Windows reserves."""


class StartError(Exception):
    """The server cannot start; the text is one line that says why and what to do."""


class PortBusyError(StartError):
    """Another program listens on the port at ``address``."""

    def __init__(self, reason: str, address: str) -> None:
        super().__init__(reason)
        self.address = address


class PortKeptError(PortBusyError):
    """The system has reserved the port at ``address``."""


class FolderInUseError(StartError):
    """Another server uses the data folder; ``url`` is its address, None if unknown."""

    def __init__(self, reason: str, url: str | None) -> None:
        super().__init__(reason)
        self.url = url


def bind_failure(settings: Settings, failure: BindError) -> StartError:
    """Make the error for a port that cannot be bound: it says why and what to do."""
    error = failure.error
    where = f"port {settings.port} of {failure.address}"
    if error.errno == errno.EADDRINUSE:
        free = settings.port + (1 if settings.port < PORT_MAX else -1)
        return PortBusyError(
            f"{where} is already in use; stop what uses it, or start with --port {free}",
            failure.address,
        )
    if error.errno == errno.EACCES and sys.platform == "win32":
        away = KEPT_PORTS if settings.port + KEPT_PORTS <= PORT_MAX else -KEPT_PORTS
        return PortKeptError(
            f"{where} is kept by Windows, for Hyper-V or Docker, or by another program;"
            f" start with --port {settings.port + away}",
            failure.address,
        )
    if error.errno == errno.EACCES:
        return StartError(
            f"{where} may not be opened by this user; start with --port {DEFAULT_PORT}"
        )
    return StartError(f"cannot open {where}: {error.strerror or error}")
