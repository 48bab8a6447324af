"""The errors of a port that cannot be bound."""

import errno
import sys

import pytest

from dunena.server.listeners import BindError
from dunena.server.start_errors import PortBusyError, PortKeptError, StartError, bind_failure
from dunena.settings import Settings

SETTINGS = Settings(port=3000)


def test_the_error_of_a_port_in_use_suggests_the_next_port() -> None:
    failure = bind_failure(SETTINGS, BindError("127.0.0.1", OSError(errno.EADDRINUSE, "in use")))
    assert type(failure) is PortBusyError
    assert str(failure).endswith("or start with --port 3001")


def test_a_port_reserved_by_windows_is_reported_as_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hyper-V and Docker have Windows keep ranges of ports: access is denied (WinError 10013)."""
    monkeypatch.setattr(sys, "platform", "win32")
    failure = bind_failure(SETTINGS, BindError("::1", PermissionError(errno.EACCES, "denied")))
    assert isinstance(failure, PortKeptError)
    assert "--port 3100" in str(failure), "not the one that could not be had"


def test_a_port_without_permission_is_a_start_error_off_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    failure = bind_failure(
        Settings(port=80), BindError("::1", PermissionError(errno.EACCES, "denied"))
    )
    assert type(failure) is StartError
    assert str(failure).endswith("start with --port 3000")
