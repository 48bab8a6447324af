"""Hand edits: which paths in the folder were touched by anything.

Where the system can watch one folder without those in it (Linux), the values' folders are watched
one by one and our private one is not: else every line of the journal would wake the thread that
listens, which costs more than writing the line.
"""

import logging
import os
import platform
import stat
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dunena.persistence.disk.disk import join

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

_QUIET_MS = 50  # an editor's save is several events: they are taken together
_LONGEST_MS = 400  # but never waited for longer than this
_WAKE_MS = 5_000  # without events; only the stop is looked for
_REST_MS = 1  # for what was seen and not told yet
_POLL_MS = 300  # where the system does not tell

_log = logging.getLogger(__name__)


class Watcher:
    """Calls ``touched`` with paths, from a thread, again and again until `close`.

    Everything that happens after the constructor has returned is seen, so a folder that is read
    after it is never missed a change. Raises OSError where the system cannot watch.
    """

    def __init__(self, root: str, touched: Callable[[set[str]], None]) -> None:
        self._root = root
        # The system names paths without the prefix that lifts Windows' length limit.
        self._prefix = root.removeprefix("\\\\?\\") + os.sep
        self._touched = touched
        self._stop = threading.Event()
        self._is_polling = _needs_polling()
        self._is_one_by_one = sys.platform == "linux" and not self._is_polling
        self._inodes: dict[str, int] = {}  # of the folders that are watched one by one
        self._notify = self._begin()
        missed = self._watch_folders(_folders(root)) if self._is_one_by_one else set()
        self._thread = threading.Thread(
            target=self._run, args=(missed,), name="dunena-watch", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
        self._notify.close()

    def _run(self, names: set[str]) -> None:
        try:
            while not self._stop.is_set():
                if self._is_one_by_one:
                    # Before what is in a new folder is looked for: nothing falls in between.
                    names |= self._watch_folders(names)
                if names:
                    self._touched({join(self._root, name) for name in names})
                names = self._next(_LONGEST_MS, _QUIET_MS, _WAKE_MS)
        except (OSError, RuntimeError) as error:
            _log.error("files edited by hand are not seen from now on: %s", error)

    def _begin(self) -> "RustNotify":
        # A large extension module: loaded only where it is wanted. `watchfiles.watch` would begin
        # to watch at some time in the thread; this class of its documented back end begins now.
        from watchfiles._rust_notify import RustNotify

        paths = [self._prefix, *(self._prefix + name for name in self._inodes)]
        is_recursive = not self._is_one_by_one
        return RustNotify(paths, False, self._is_polling, _POLL_MS, is_recursive, True)

    def _next(self, longest_ms: int, quiet_ms: int, wait_ms: int) -> set[str]:
        """Names below the root that were touched; none after so long, or at the stop."""
        events = self._notify.watch(longest_ms, quiet_ms, wait_ms, self._stop)
        if isinstance(events, str):  # "timeout", or "stop"
            return set()
        return {name for _, path in events if (name := self._relative(path))}

    def _watch_folders(self, names: Iterable[str]) -> set[str]:
        """Watch those of the root's names that are folders now; what was touched until then."""
        if not self._is_changed(names):
            return set()
        while True:
            try:
                notify = self._begin()
                break
            except FileNotFoundError:
                if not self._is_changed(list(self._inodes)):  # none of them has just gone
                    raise
        missed = self._next(_REST_MS, _REST_MS, _REST_MS)
        self._notify.close()
        self._notify = notify
        return missed

    def _is_changed(self, names: Iterable[str]) -> bool:
        """Whether folders of these names came, went or were put in the place of others."""
        is_changed = False
        for name in names:
            if os.sep in name:
                continue
            inode = _inode_of_folder(self._prefix + name)
            if inode == self._inodes.get(name):
                continue
            is_changed = True
            if inode is None:
                del self._inodes[name]
            else:
                self._inodes[name] = inode
        return is_changed

    def _relative(self, path: str) -> str:
        """A touched path below the root; empty for what is hidden there, as our own folder is."""
        relative = path.removeprefix(self._prefix)
        return "" if relative == path or relative.startswith(".") else relative


def _folders(root: str) -> list[str]:
    with os.scandir(root) as found:
        return [
            item.name
            for item in found
            if not item.name.startswith(".") and item.is_dir(follow_symlinks=False)
        ]


def _inode_of_folder(path: str) -> int | None:
    """None for a path where no folder is."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino if stat.S_ISDIR(status.st_mode) else None


def _needs_polling() -> bool:
    """Whether changes must be looked for: by wish, or since WSL tells none of Windows' files."""
    if os.environ.get("WATCHFILES_FORCE_POLLING"):
        return True
    return "microsoft-standard" in platform.uname().release
