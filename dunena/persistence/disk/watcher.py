"""Hand edits: which paths in the folder were touched by anything.

Linux is asked directly (`linux_watcher`). Elsewhere a library does it; it says nothing of what the
system could not tell, so everything is also compared now and then (`watching`).
"""

import os
import sys
import threading
from typing import TYPE_CHECKING

from dunena.persistence.disk.disk import join
from dunena.persistence.disk.watcher_events import LONGEST_SECONDS, QUIET_SECONDS, Told, Watcher

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

_WAKE_MS = 5_000  # without events; only the stop is looked for


def begin_to_watch(root: str, told: Told) -> Watcher:
    """Tell of everything that happens from now on; raise OSError where the system cannot."""
    if sys.platform == "linux":
        from dunena.persistence.disk.linux_watcher import LinuxWatcher

        return LinuxWatcher(root, told)
    return LibraryWatcher(root, told)


class LibraryWatcher:
    """Tells of paths, from a thread, again and again until `close`.

    Everything that happens after the constructor has returned is seen, so a folder that is read
    after it is never missed a change. Raises OSError where the system cannot watch.
    """

    def __init__(self, root: str, told: Told) -> None:
        self._root = root
        # The system names paths without the prefix that lifts Windows' length limit.
        self._prefix = root.removeprefix("\\\\?\\") + os.sep
        self._told = told
        self._stop = threading.Event()
        self._notify = self._begin()
        self._thread = threading.Thread(target=self._run, name="dunena-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
        self._notify.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                names = self._next()
                if names:
                    self._told.touched({join(self._root, name) for name in names})
        except Exception as error:  # noqa: BLE001 - whatever it was, somebody must know
            self._told.ended(getattr(error, "strerror", None) or str(error))

    def _begin(self) -> "RustNotify":
        # A large extension module: loaded only where it is wanted. `watchfiles.watch` would begin
        # to watch at some time in the thread; this class of its documented back end begins now.
        from watchfiles._rust_notify import RustNotify

        try:
            return RustNotify([self._prefix], False, False, 0, True, True)
        except RuntimeError as error:
            raise OSError(str(error)) from error

    def _next(self) -> set[str]:
        """Names below the root that were touched; none after so long, or at the stop."""
        events = self._notify.watch(
            int(LONGEST_SECONDS * 1000), int(QUIET_SECONDS * 1000), _WAKE_MS, self._stop
        )
        if isinstance(events, str):  # "timeout", or "stop"
            return set()
        return {name for _, path in events if (name := self._relative(path))}

    def _relative(self, path: str) -> str:
        """A touched path below the root; empty for what is hidden there, as our own folder is."""
        relative = path.removeprefix(self._prefix)
        return "" if relative == path or relative.startswith(".") else relative
