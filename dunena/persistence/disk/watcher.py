"""Watching a folder: reporting the paths that anything has touched.

On Linux inotify is used directly (`linux_watcher`), on other systems a library. The library does
not report that events were lost, so everything is also examined periodically (`watching`).
"""

import os
import sys
import threading
from typing import TYPE_CHECKING

from dunena.persistence.disk.disk import join
from dunena.persistence.disk.watcher_events import LONGEST_SECONDS, QUIET_SECONDS, Told, Watcher

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

_WAKE_MS = 5_000  # longest wait without events, to check whether to stop


def begin_to_watch(root: str, told: Told) -> Watcher:
    """Report everything that happens from now on; raise OSError if the system cannot watch."""
    if sys.platform == "linux":
        from dunena.persistence.disk.linux_watcher import LinuxWatcher

        return LinuxWatcher(root, told)
    return LibraryWatcher(root, told)


class LibraryWatcher:
    """Reports touched paths from a thread until `close`.

    Everything that happens after the constructor has returned is reported. The constructor raises
    OSError if the system cannot watch.
    """

    def __init__(self, root: str, told: Told) -> None:
        self._root = root
        # The system reports paths without the prefix for long paths on Windows.
        self._prefix = root.removeprefix("\\\\?\\") + os.sep
        self._told = told
        self._stop = threading.Event()
        self._notify = self._begin()
        self._thread = threading.Thread(target=self._run, name="dunena-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching and wait until the thread has ended."""
        self._stop.set()
        self._thread.join()
        self._notify.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                names = self._next()
                if names:
                    self._told.touched({join(self._root, name) for name in names})
        except Exception as error:  # noqa: BLE001 - any failure must be reported
            self._told.ended(getattr(error, "strerror", None) or str(error))

    def _begin(self) -> "RustNotify":
        # A large extension module, so it is imported only here. `watchfiles.watch` would begin to
        # watch at some later time in the thread; this class of its back end begins now.
        from watchfiles._rust_notify import RustNotify

        try:
            return RustNotify([self._prefix], False, False, 0, True, True)
        except RuntimeError as error:
            raise OSError(str(error)) from error

    def _next(self) -> set[str]:
        """Wait for touched names below the root; return none after a time-out or at the stop."""
        events = self._notify.watch(
            int(LONGEST_SECONDS * 1000), int(QUIET_SECONDS * 1000), _WAKE_MS, self._stop
        )
        if isinstance(events, str):  # "timeout", or "stop"
            return set()
        return {name for _, path in events if (name := self._relative(path))}

    def _relative(self, path: str) -> str:
        """Return a touched path relative to the root; "" if it is hidden, as the private folder."""
        relative = path.removeprefix(self._prefix)
        return "" if relative == path or relative.startswith(".") else relative
