"""The checks of `/health` besides that of the storage itself."""

import os

from dunena.persistence.interface import WatchState
from dunena.server.shortage import Shortage
from dunena.server.status.figures import Figures
from dunena.settings import Settings

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"

_DAMAGES_SHOWN_MAX = 20


class HealthChecks:
    """Examines one server; ``shortage`` knows whether connections are refused."""

    def __init__(self, figures: Figures, settings: Settings, shortage: Shortage) -> None:
        self._figures = figures
        self._settings = settings
        self._shortage = shortage
        self._disk = figures.disk

    def all(self, *, shows_names: bool) -> dict[str, dict[str, object]]:
        """Return the result of each check by its name; ``status`` is in each.

        ``shows_names`` includes texts that may have the names of keys in them.
        """
        return {
            "files": self._files(shows_names=shows_names),
            "watch": self._watch(),
            "connections": self._connections(),
            "sessions": self._sessions(),
            **self._text_files(shows_names=shows_names),
            **self._store(),
        }

    def _files(self, *, shows_names: bool) -> dict[str, object]:
        """Report files that cannot be read or written; changes are accepted all the same.

        ``shows_names`` includes their paths, which contain the names of keys.
        """
        damages, reason = self._disk.damages(), self._disk.files_failure
        check: dict[str, object] = {"status": DEGRADED if damages or reason else HEALTHY}
        if reason:
            check["reason"] = self._shown(reason) if shows_names else "a file cannot be written"
            check["behind"] = self._disk.files_behind
        if damages:
            check["count"] = len(damages)
        if damages and shows_names:
            check["damaged"] = [
                {"path": self._shown(damage.display_path), "reason": self._shown(damage.reason)}
                for damage in damages[:_DAMAGES_SHOWN_MAX]
            ]
        return check

    def _watch(self) -> dict[str, object]:
        """Report whether hand edits are noticed, late, or not at all."""
        watching = self._disk.watching
        is_blind = watching.state in (WatchState.CATCHING_UP, WatchState.FAILING)
        check: dict[str, object] = {
            "status": DEGRADED if is_blind else HEALTHY,
            "state": watching.state.value,
        }
        if watching.reason:
            check["reason"] = self._shown(watching.reason)
        return check

    def _connections(self) -> dict[str, object]:
        """Report whether connections were refused lately because there is no room for more."""
        reason = self._shortage.reason
        return {"status": HEALTHY} if reason is None else {"status": DEGRADED, "reason": reason}

    def _text_files(self, *, shows_names: bool) -> dict[str, dict[str, object]]:
        """Report whether the text files show what they should; empty if there are to be none.

        The last error stays there when all is well again.
        """
        text_files = self._figures.text_files
        if text_files is None:
            return {}
        reason, last_error = text_files.failure, text_files.last_error
        check: dict[str, object] = {"status": DEGRADED if reason else HEALTHY}
        if reason:
            check["reason"] = (
                self._shown(reason) if shows_names else "a text file cannot be written"
            )
        if last_error and shows_names:
            check["lastError"] = self._shown(last_error)
        return {"textFiles": check}

    def _sessions(self) -> dict[str, object]:
        """Report sessions whose ephemeral keys should be gone, but changes are refused."""
        count = self._figures.sessions.postponed_count
        if not count:
            return {"status": HEALTHY}
        return {
            "status": DEGRADED,
            "reason": "the end of sessions cannot be stored and is tried again",
            "count": count,
        }

    def _store(self) -> dict[str, dict[str, object]]:
        """Report whether the shared store answers; empty without one."""
        shared = self._figures.shared
        if shared is None:
            return {}
        status = UNHEALTHY if shared.failure else HEALTHY if shared.is_well else DEGRADED
        return {"store": {"status": status, **shared.check()}}

    def _shown(self, text: str) -> str:
        """Make paths in a text relative to the folder of the values."""
        folder = self._settings.cache_dir
        plain = text.replace("\\\\?\\", "")  # how Windows writes a long path
        return plain if folder is None else plain.replace(f"{folder.absolute()}{os.sep}", "")
