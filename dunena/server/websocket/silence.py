"""Ending the connection of a session whose client is silent for longer than it promised; no I/O.

The client is looked at eight times in its timeout, as noting the time of everything that comes
would cost each message. So a connection ends after at least its timeout, and at most an eighth
later. In the middle of a silence a ping is sent, which every client answers by itself.
"""

from collections.abc import Callable
from typing import Protocol

LOOKS = 8
"""Looks at a client in its timeout."""


class _Timer(Protocol):
    def cancel(self) -> None:
        """Do not call the function."""


class SilentPeer(Protocol):
    """What a connection offers for this."""

    def has_been_heard(self) -> bool:
        """Return whether the peer gave a sign of life since the last call."""

    def ping(self) -> None:
        """Ask the peer for a sign of life."""

    def end_silence(self) -> None:
        """End the connection."""


class Silence:
    """Watches one connection until `stop`.

    ``time`` is a monotonic clock in seconds, ``call_later`` runs a function after so many.
    """

    def __init__(
        self,
        peer: SilentPeer,
        time: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], _Timer],
    ) -> None:
        self._peer = peer
        self._time = time
        self._call_later = call_later
        self._timer: _Timer | None = None
        self._timeout_seconds = 0.0
        self._heard_at = 0.0
        self._due_at = 0.0
        self._is_asked = False

    def watch(self, timeout_seconds: float) -> None:
        """Begin, or go on with another timeout."""
        self.stop()
        self._timeout_seconds = timeout_seconds
        self._heard_at = self._time()
        self._is_asked = False
        self._look_later(self._heard_at)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self, now: float) -> None:
        step, silent_until = self._timeout_seconds / LOOKS, self._heard_at + self._timeout_seconds
        self._due_at = min(now + step, max(silent_until, now))
        self._timer = self._call_later(self._due_at - now, self._look)

    def _look(self) -> None:
        now = self._time()
        late = now - self._due_at
        if late > self._timeout_seconds / LOOKS:
            self._heard_at += late  # the server itself was busy or asleep: nothing was read
        if self._peer.has_been_heard():
            self._heard_at, self._is_asked = now, False
        silent = now - self._heard_at
        if silent >= self._timeout_seconds:
            self._timer = None
            self._peer.end_silence()
            return
        if silent >= self._timeout_seconds / 2 and not self._is_asked:
            self._is_asked = True
            self._peer.ping()
        self._look_later(now)
