"""Whether a log answers, as a node sees it; no I/O."""

from typing import Final

from dunena.persistence.jetstream.leader import StreamLeader
from dunena.persistence.jetstream.proposals import Proposals
from dunena.persistence.jetstream.wire import Link, Scheduler
from dunena.persistence.log import LogState

STALE_S: Final = 1.5
"""How long a log need not answer to be taken for one that does not."""

SILENT_SERVER_S: Final = 10.0
"""How long no leader may answer through a server that is there: one is chosen in 4 to 9 s."""


class Health:
    """The health of a log: it is stale while something is not answered for too long."""

    __slots__ = (
        "_connected_since_s", "_leader", "_link", "_proposals", "_scheduler", "_was_connected",
        "disconnected_since_s", "is_loaded",
    )  # fmt: skip

    def __init__(
        self, link: Link, scheduler: Scheduler, leader: StreamLeader, proposals: Proposals
    ) -> None:
        self._link = link
        self._scheduler = scheduler
        self._leader = leader
        self._proposals = proposals
        self._was_connected = False
        self._connected_since_s = scheduler.now_s()
        self.disconnected_since_s = scheduler.now_s()
        self.is_loaded = False

    @property
    def state(self) -> LogState:
        """The present state."""
        if not self.is_loaded:
            return LogState.STARTING
        return LogState.STALE if self.stale_s else LogState.READY

    @property
    def stale_s(self) -> float:
        """How long the log has not answered, 0 if it does."""
        now_s = self._scheduler.now_s()
        leader = self._leader
        starts_s = [
            self._proposals.unanswered_since_s, leader.unanswered_since_s, leader.unfit_since_s
        ]  # fmt: skip
        if not self._link.is_connected:
            starts_s.append(self.disconnected_since_s)
        since_s = min((start_s for start_s in starts_s if start_s is not None), default=now_s)
        return now_s - since_s if now_s - since_s > STALE_S else 0.0

    @property
    def reason(self) -> str | None:
        """Why the log cannot be used, for people; None if it is not known."""
        reason = self._link.reason or self._leader.reason
        if reason is None and self._proposals.unanswered_since_s is not None:
            return "what is written is not acknowledged"
        return reason

    def has_changed_connection(self) -> bool:
        """Learn of the connection; return whether it was made or lost since the last time."""
        is_connected = self._link.is_connected
        if is_connected == self._was_connected:
            return False
        self._was_connected = is_connected
        if is_connected:
            self._connected_since_s = self._scheduler.now_s()
        else:
            self.disconnected_since_s = self._scheduler.now_s()
        return True

    def leave_silent_server(self) -> None:
        """Go to another server if this one is there, and no leader answers or stores through it.

        It may be cut off from the others, which have chosen another leader; then it may still take
        itself for that, and say how the stream is.
        """
        waiting = (self._leader.unanswered_since_s, self._proposals.unanswered_since_s)
        since_s = min((one for one in waiting if one is not None), default=None)
        if since_s is None or not self._link.is_connected:
            return
        now_s = self._scheduler.now_s()
        if now_s - max(since_s, self._connected_since_s) > SILENT_SERVER_S:
            self._connected_since_s = now_s
            self._link.change_server()
