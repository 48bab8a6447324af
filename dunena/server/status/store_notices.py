"""The lines in the log about the store that a server shares with others; no I/O but logging."""

import logging

from dunena.persistence.log import Log, LogState
from dunena.server.status.store_report import UNANSWERED_MS_MAX

WAITING_SECONDS = 5.0
"""Time between two lines while the values are not loaded."""

STALE_SECONDS = 60.0
"""Time between two lines while the store does not answer a server that has the values, or stores
nothing."""

_log = logging.getLogger(__name__)


class StoreNotices:
    """Logs what has become of a log since the last look; the first was at ``now_s``.

    Times are those of a monotonic clock in seconds.
    """

    __slots__ = ("_failing_since_s", "_is_refusal_told", "_last_line_s", "_last_refusal_s", "_log",
                 "_nodes", "_warning")  # fmt: skip

    def __init__(self, log: Log, now_s: float) -> None:
        self._log = log
        self._nodes: tuple[str, ...] = ()
        self._last_line_s = now_s
        self._failing_since_s: float | None = None
        self._last_refusal_s = now_s - STALE_SECONDS
        self._is_refusal_told = False
        self._warning: str | None = None

    def look(self, now_s: float) -> None:
        """Log what is new, or has been so for long; to be called about once a second."""
        status = self._log.status
        reason = f": {status.reason}" if status.reason else ""
        if status.state is LogState.STARTING:
            if self._is_time(now_s, WAITING_SECONDS):
                _log.warning("waiting for the store%s", reason)
        elif status.stale_ms >= UNANSWERED_MS_MAX:
            is_new = self._failing_since_s is None
            if is_new:
                self._failing_since_s = now_s - status.stale_ms / 1000
            if is_new or self._is_time(now_s, STALE_SECONDS):
                self._last_line_s = now_s
                text = "the store has not answered for %d s%s; reads go on, writes are refused"
                _log.warning(text, status.stale_ms // 1000, reason)
        elif status.state is LogState.READY:
            self._tell_ready(now_s, status.nodes)
            self._tell_refusal(now_s, status.refusal)
            self._tell_warning(status.warning)

    def _tell_ready(self, now_s: float, nodes: tuple[str, ...]) -> None:
        if self._failing_since_s is not None:
            _log.info("the store answers again, after %d s", now_s - self._failing_since_s)
            self._failing_since_s = None
        if nodes != self._nodes:
            self._nodes = nodes
            _log.info("the store is shared by %s", ", ".join(nodes))

    def _tell_refusal(self, now_s: float, refusal: str | None) -> None:
        """Tell that nothing is stored, but once a minute: what is small may find room between."""
        if refusal is None:
            if self._is_refusal_told:
                self._is_refusal_told = False
                _log.warning("changes are stored again")
        elif now_s - self._last_refusal_s >= STALE_SECONDS:
            self._last_refusal_s = now_s
            self._is_refusal_told = True
            _log.error("changes are refused, nothing is stored: %s", refusal)

    def _tell_warning(self, warning: str | None) -> None:
        if warning != self._warning:
            if warning is None:
                _log.info("the store is as it should be again")
            else:
                _log.error("the store is not as it should be: %s", warning)
            self._warning = warning

    def _is_time(self, now_s: float, seconds: float) -> bool:
        """Return whether the last line was so long ago, and count one more if it was."""
        if now_s - self._last_line_s < seconds:
            return False
        self._last_line_s = now_s
        return True
