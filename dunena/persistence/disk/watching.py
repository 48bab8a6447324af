"""How hand edits are learnt of: the system tells of them, or they are looked for.

Where the system tells, everything is still compared once in a while, since not every system says
when it left something out. Where it does not tell, or stops to, the comparison is repeated all the
time.
"""

import logging
import os
import platform
import sys
import time
from collections.abc import Callable

from dunena.persistence.disk.hand_edits import HandEdits
from dunena.persistence.disk.place import file_system_of
from dunena.persistence.disk.watcher import begin_to_watch
from dunena.persistence.disk.watcher_events import Told, Watcher
from dunena.persistence.interface import Watching, WatchState
from dunena.persistence.policy import WatchMode

POLL_SECONDS = 0.3
"""From the end of one look at everything to the next."""

COMPARE_SECONDS = 600.0
"""The same where the system tells of changes: nobody should have to restart for one it forgot."""

LOOK_AGAIN_SECONDS = 0.5
"""After the start, so that what is being started is there first."""

_SILENT_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "ceph", "vboxsf", "prl_fs"}
)
"""File systems that other machines, or the host of this virtual one, change without a word here."""

_log = logging.getLogger(__name__)


class FolderWatch:
    """Watches ``root`` for ``edits``; ``wake`` is called, from any thread, when it has work."""

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
        """From now on; what was changed since the folder was read is found as well."""
        if self._mode is WatchMode.OFF:
            return
        silence = why_silent(self._root) if self._mode is WatchMode.AUTO else None
        if self._mode is WatchMode.POLL or silence is not None:
            self._poll(silence)
        else:
            self._begin_to_watch()
        self._edits.look_at_everything(time.monotonic() + LOOK_AGAIN_SECONDS)

    def close(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            self._watcher.close()

    @property
    def is_on(self) -> bool:
        """Whether anybody wants to learn of them."""
        return self._state is not WatchState.OFF

    @property
    def status(self) -> Watching:
        """How it stands; any thread."""
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
            _log.warning("files edited by hand are looked for, as %s", self._reason)
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
        _log.warning("too much changed at once to be told: every file is looked at once more")
        self._edits.everything.ask(time.monotonic(), is_missing=True)
        self._wake()

    def _ended(self, reason: str) -> None:
        _log.error("files edited by hand are looked for from now on: %s", reason)
        self._poll(reason)
        self._edits.everything.ask(time.monotonic(), is_missing=True)
        self._wake()


def why_silent(root: str) -> str | None:
    """Why the system will not tell of changes in a folder; None where it should."""
    if os.environ.get("WATCHFILES_FORCE_POLLING"):
        return "WATCHFILES_FORCE_POLLING is set"
    # Asked on Linux alone: Windows answers by a service (WMI) that takes seconds, or hangs.
    if sys.platform == "linux" and "microsoft-standard" in platform.uname().release:
        return "WSL tells nothing of Windows' files"
    kind = file_system_of(root)
    if kind in _SILENT_SYSTEMS or kind.startswith("fuse"):
        return f"the folder is on {kind}, which may be changed elsewhere"
    return None
