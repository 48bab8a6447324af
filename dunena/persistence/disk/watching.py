"""Finding hand edits: by notifications of the system or by examining all files.

With notifications all files are still examined now and then, since not every system reports lost
ones. Without notifications, or when they end, all files are examined again and again.
"""

import logging
import os
import platform
import sys
import time
from collections.abc import Callable

from dunena.persistence.disk.hand_edits import HandEdits
from dunena.persistence.disk.paths import file_system_of
from dunena.persistence.disk.watcher import begin_to_watch
from dunena.persistence.disk.watcher_events import Told, Watcher
from dunena.persistence.interface import Watching, WatchState
from dunena.persistence.policy import WatchMode

POLL_SECONDS = 0.3
"""Time from the end of one examination of all files to the next, without notifications."""

COMPARE_SECONDS = 600.0
"""The same with notifications: a lost one must not stay unnoticed until a restart."""

LOOK_AGAIN_SECONDS = 0.5
"""Time after the start until all files are examined, so that the start is done first."""

_SILENT_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "ceph", "vboxsf", "prl_fs"}
)
"""File systems that other machines, or the host of a virtual one, change without notifications."""

_log = logging.getLogger(__name__)


class FolderWatch:
    """Finds touched paths below ``root`` for ``edits``; calls ``wake``, in any thread, for them."""

    def __init__(
        self, root: str, mode: WatchMode, edits: HandEdits, wake: Callable[[], None]
    ) -> None:
        self._root = root
        self._mode = mode
        self._edits = edits
        self._wake = wake
        self._watcher: Watcher | None = None
        self._state = WatchState.OFF
        self._reason: str | None = None
        self._misses = 0

    def begin(self) -> None:
        """Begin to watch, and request an examination for changes since the folder was read."""
        if self._mode is WatchMode.OFF:
            return
        silence = why_silent(self._root) if self._mode is WatchMode.AUTO else None
        if self._mode is WatchMode.POLL or silence is not None:
            self._poll(silence)
        else:
            self._begin_to_watch()
        self._edits.look_at_everything(time.monotonic() + LOOK_AGAIN_SECONDS)

    def close(self) -> None:
        """Stop watching; nothing is reported afterwards."""
        if self._watcher is not None:
            self._watcher.close()

    @property
    def is_on(self) -> bool:
        """Whether hand edits are looked for at all."""
        return self._state is not WatchState.OFF

    @property
    def status(self) -> Watching:
        """The present state; any thread may read it."""
        state, reason = self._state, self._reason
        if state is not WatchState.OFF:
            if self._edits.everything.failure is not None:
                state, reason = WatchState.FAILING, self._edits.everything.failure
            elif self._edits.everything.is_catching_up:
                state = WatchState.CATCHING_UP
        return Watching(state, reason, self._misses)

    def _begin_to_watch(self) -> None:
        try:
            told = Told(self._touched, self._missed, self._ended)
            self._watcher = begin_to_watch(self._root, told)
        except OSError as error:
            self._poll(error.strerror or str(error))
            _log.warning("hand edits are found by examining all files, as %s", self._reason)
            return
        self._state = WatchState.WATCHING
        self._edits.everything.period_seconds = COMPARE_SECONDS

    def _poll(self, reason: str | None) -> None:
        self._reason = reason
        self._state = WatchState.POLLING
        self._edits.everything.period_seconds = POLL_SECONDS

    # --- the watcher's thread ---

    def _touched(self, paths: set[str]) -> None:
        self._edits.touch(paths)
        self._wake()

    def _missed(self) -> None:
        self._misses += 1
        _log.warning("too much changed at once, so events were lost: every file is examined again")
        self._edits.everything.ask(time.monotonic(), is_missing=True)
        self._wake()

    def _ended(self, reason: str) -> None:
        _log.error("hand edits are found by examining all files from now on: %s", reason)
        self._poll(reason)
        self._edits.everything.ask(time.monotonic(), is_missing=True)
        self._wake()


def why_silent(root: str) -> str | None:
    """Return why the system sends no notifications for a folder; None if it should."""
    if os.environ.get("WATCHFILES_FORCE_POLLING"):
        return "WATCHFILES_FORCE_POLLING is set"
    # Only on Linux: on Windows `platform.uname` asks a service (WMI) that may take seconds or hang.
    if sys.platform == "linux" and "microsoft-standard" in platform.uname().release:
        return "WSL tells nothing of Windows' files"
    kind = file_system_of(root)
    if kind in _SILENT_SYSTEMS or kind.startswith("fuse"):
        return f"the folder is on {kind}, which may be changed elsewhere"
    return None
