"""What one connection used up of its turn, and whether it waits for its next; no I/O.

The limits of a turn are in `dunena.server.limits`, the queue of those who wait in
`dunena.server.turns`.
"""

from dunena.server.limits import TURN_BYTES_MAX, TURN_MS


class Turn:
    """One connection's; set ``done_bytes`` to 0 at the beginning of each turn.

    ``is_waiting`` says that it waits for its next turn. ``is_heavy`` says that it had a whole turn
    lately, or is new: such a connection should wait when others had a whole turn already. These are
    attributes since they are read before every message.
    """

    __slots__ = ("_ends_at_ms", "_was_heavy", "done_bytes", "is_heavy", "is_waiting")

    def __init__(self) -> None:
        self.done_bytes = 0
        self.is_waiting = False
        self.is_heavy = True
        self._was_heavy = False  # since the last `sweep`
        self._ends_at_ms = 0.0

    def use(self, done_bytes: int, now_ms: float) -> bool:
        """Count so many bytes more as done; whether the turn is over.

        Its time begins with the first call after ``done_bytes`` was 0: whoever does less than what
        is worth a look never needs the clock.
        """
        if not self.done_bytes:
            self._ends_at_ms = now_ms + TURN_MS
        self.done_bytes += done_bytes
        return self.done_bytes >= TURN_BYTES_MAX or now_ms >= self._ends_at_ms

    def mark_heavy(self) -> None:
        """The connection had more to do than its turn allowed."""
        self.is_heavy = self._was_heavy = True

    def sweep(self) -> None:
        """Forget that it was heavy if it was not since the last call and does not wait."""
        self.is_heavy, self._was_heavy = self._was_heavy or self.is_waiting, False
