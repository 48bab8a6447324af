"""Hand edits: which paths in the folder were touched by anything."""

import logging
import os
import platform
import threading
from collections.abc import Callable
from pathlib import Path

_QUIET_MS = 50  # an editor's save is several events: they are taken together
_LONGEST_MS = 400  # but never waited for longer than this
_WAKE_MS = 5_000  # without events; only the stop is looked for
_POLL_MS = 300  # where the system does not tell

_log = logging.getLogger(__name__)


class Watcher:
    """Calls ``touched`` with paths, from a thread, again and again until `close`.

    Everything that happens after the constructor has returned is seen, so a folder that is read
    after it is never missed a change. Raises OSError where the system cannot watch.
    """

    def __init__(self, root: Path, touched: Callable[[set[Path]], None]) -> None:
        # A large extension module: loaded only where it is wanted. `watchfiles.watch` would begin
        # to watch at some time in the thread; this class of its documented back end begins now.
        from watchfiles._rust_notify import RustNotify

        self._root = root
        # The system names paths without the prefix that lifts Windows' length limit.
        self._prefix = str(root).removeprefix("\\\\?\\") + os.sep
        self._touched = touched
        self._stop = threading.Event()
        self._notify = RustNotify([self._prefix], False, _needs_polling(), _POLL_MS, True, True)
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
                events = self._notify.watch(_LONGEST_MS, _QUIET_MS, _WAKE_MS, self._stop)
                if isinstance(events, str):
                    continue  # "timeout", or "stop", which the loop's condition finds
                paths = {self._root / path for _, raw in events if (path := self._relative(raw))}
                if paths:
                    self._touched(paths)
        except (OSError, RuntimeError) as error:
            _log.error("files edited by hand are not seen from now on: %s", error)

    def _relative(self, path: str) -> str:
        """A touched path below the root; empty for what is hidden there, as our own folder is."""
        relative = path.removeprefix(self._prefix)
        return "" if relative == path or relative.startswith(".") else relative


def _needs_polling() -> bool:
    """Whether changes must be looked for: by wish, or since WSL tells none of Windows' files."""
    if os.environ.get("WATCHFILES_FORCE_POLLING"):
        return True
    return "microsoft-standard" in platform.uname().release
