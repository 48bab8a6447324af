"""The turn of one connection: what it has used of it, and whether it waits for the next; no I/O.

The limits of a turn are in `dunena.server.limits`, the queue of waiting connections in
`dunena.server.turns`.
"""

from dunena.server.limits import TURN_BYTES_MAX, TURN_MS


class Turn:
    """The turn of one connection; set ``done_bytes`` to 0 at the beginning of each turn.

    ``is_waiting``: the connection waits for its next turn. ``is_heavy``: it had a whole turn
    lately, or is new; such a connection should wait if another one had a whole turn in this tick.
    These are attributes, as they are read before every message.
    """

    __slots__ = ("_ends_at_ms", "_was_heavy", "done_bytes", "is_heavy", "is_waiting")

    def __init__(self) -> None:
        self.done_bytes = 0
        self.is_waiting = False
        self.is_heavy = True
        self._was_heavy = False  # since the last `sweep`
        self._ends_at_ms = 0.0

    def use(self, done_bytes: int, now_ms: float) -> bool:
        """Count ``done_bytes`` more; return whether the turn is over.

        The time of a turn begins with the first call after ``done_bytes`` was 0. So a connection
        with less than `TURN_LOOK_BYTES` to do never needs the clock.
        """
        if not self.done_bytes:
            self._ends_at_ms = now_ms + TURN_MS
        self.done_bytes += done_bytes
        return self.done_bytes >= TURN_BYTES_MAX or now_ms >= self._ends_at_ms

    def mark_heavy(self) -> None:
        """Mark the connection as one with more to do than fits a turn."""
        self.is_heavy = self._was_heavy = True

    def sweep(self) -> None:
        """Clear ``is_heavy`` if it was not marked since the last call and does not wait."""
        self.is_heavy, self._was_heavy = self._was_heavy or self.is_waiting, False
