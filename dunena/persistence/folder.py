"""Examining a folder for values, and whether a server uses it."""

import os
import tempfile
import time
from pathlib import Path

from dunena.persistence.disk.check import Findings, find_user, find_version
from dunena.persistence.disk.check import check as check_folder
from dunena.persistence.disk.check import read as read_folder
from dunena.persistence.disk.check import repair as repair_folder
from dunena.persistence.disk.device import force
from dunena.persistence.disk.watcher import begin_to_watch
from dunena.persistence.disk.watcher_events import Told
from dunena.persistence.disk.watching import why_silent

__all__ = [
    "Findings",
    "check_folder",
    "find_user",
    "find_version",
    "read_folder",
    "repair_folder",
    "sync_seconds",
    "watch_failure",
]

_SYNC_BYTES = 4096


def sync_seconds(folder: Path, count: int) -> list[float]:
    """Measure ``count`` syncs in a folder, one after another; return seconds. Raise OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return [_sync_seconds(file.fileno()) for _ in range(count)]


def watch_failure(folder: Path, *, trusts_system: bool = False) -> str | None:
    """Return why the system does not report files that others change in a folder; None if it does.

    With ``trusts_system``, file systems whose reports are known to be incomplete are accepted.
    """
    reason = None if trusts_system else why_silent(str(folder))
    if reason is None:
        try:
            told = Told(lambda _paths: None, lambda: None, lambda _reason: None)
            begin_to_watch(str(folder), told).close()
        except OSError as error:
            reason = error.strerror or str(error)
    return reason


def _sync_seconds(descriptor: int) -> float:
    began = time.perf_counter()
    os.write(descriptor, bytes(_SYNC_BYTES))
    force(descriptor)
    return time.perf_counter() - began
