"""A limiter of wrong tokens for each address, which makes guessing slow; no I/O."""

from collections import OrderedDict

from dunena.server.limits import TRIES_ADDRESSES_MAX, TRIES_AT_ONCE_MAX, TRY_SECONDS


class TokenRateLimiter:
    """Counts the wrong tokens that each group of addresses (`dunena.server.access.peers`) may try.

    A group begins with `TRIES_AT_ONCE_MAX` tries and gets another one every `TRY_SECONDS`. A wrong
    token that was tried before costs nothing: a program with an outdated token repeats it, which is
    no guessing. ``now`` is in seconds of any monotonic clock.
    """

    def __init__(self) -> None:
        # The group with the latest wrong token is last.
        self._groups: OrderedDict[str, _Guesses] = OrderedDict()

    def seconds_to_wait(self, group: str, now: float) -> float:
        """Return the seconds until the group may try a token again; 0 for at once."""
        guesses = self._groups.get(group)
        return 0.0 if guesses is None else max(0.0, (1 - guesses.left(now)) * TRY_SECONDS)

    def failed(self, group: str, secret: bytes, now: float) -> None:
        """Count a wrong token that an address of the group presented."""
        guesses = self._groups.setdefault(group, _Guesses(now))
        self._groups.move_to_end(group)
        guesses.add(hash(secret), now)
        if len(self._groups) > TRIES_ADDRESSES_MAX:
            self._groups.popitem(last=False)


class _Guesses:
    """The tries that one group had left at some time, and hashes of its latest wrong tokens."""

    __slots__ = ("_latest", "_left", "_since")

    def __init__(self, now: float) -> None:
        self._left: float = TRIES_AT_ONCE_MAX
        self._since = now
        self._latest: OrderedDict[int, None] = OrderedDict()

    def left(self, now: float) -> float:
        return min(TRIES_AT_ONCE_MAX, self._left + (now - self._since) / TRY_SECONDS)

    def add(self, guess: int, now: float) -> None:
        is_new = guess not in self._latest
        self._latest[guess] = None
        self._latest.move_to_end(guess)
        if is_new:
            self._left, self._since = self.left(now) - 1, now
            if len(self._latest) > TRIES_AT_ONCE_MAX:
                self._latest.popitem(last=False)
