"""``--fsync everysec``: what was written is forced to the device once a second, in a thread."""

import logging
import os
import sys
import threading
from pathlib import Path

from dunena.persistence.disk.atomic import force_folder

PERIOD_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Syncer:
    """Forces noted files and their folders to the device; `close` does the last of them."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dunena-sync", daemon=True)
        self._thread.start()

    def note(self, path: Path) -> None:
        """A file was written or removed; it will be on the device about a second from now."""
        with self._lock:
            self._paths.add(path)

    def close(self) -> None:
        """Sync what is noted and end the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            self._sync()
        self._sync()

    def _sync(self) -> None:
        with self._lock:
            paths, self._paths = self._paths, set()
        for target in [*paths, *{path.parent for path in paths}]:
            try:
                _force(target)
            except FileNotFoundError:
                continue  # removed since, which its folder's sync makes last
            except OSError as error:
                _log.error("cannot force %s to the device: %s", target, error.strerror)


def _force(path: Path) -> None:
    if path.is_dir():
        force_folder(path)
        return
    # Windows forces only what is open for writing.
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
