"""Invitations: addresses that sign one browser in, once and for a short time; no I/O.

An invitation has the rights of one token and ends with it. Of its secret only a hash is kept, and
it is looked up by that: so the time of the look-up reveals nothing (as for tokens).

Invitations are in memory alone: a restart ends them, and on a shared store one is good at the
server that made it.
"""

import hashlib
from dataclasses import dataclass

from dunena.dialects.grants import Grant
from dunena.server.limits import INVITE_SECONDS, INVITES_MAX


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation with the rights of ``grant`` to the path ``page``.

    It is valid before ``ends_at``, in seconds of a monotonic clock.
    """

    grant: Grant
    page: str
    ends_at: float


class TooManyInvitesError(Exception):
    """A token has `INVITES_MAX` invitations; the first of them ends in so many ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the first ends in {seconds:.0f} s")
        self.seconds = seconds


class Invites:
    """The invitations of one server; ``now`` is in seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._live: dict[bytes, Invite] = {}  # by the hash of the secret, the oldest first

    def __len__(self) -> int:
        return len(self._live)

    def add(self, secret: str, grant: Grant, page: str, now: float) -> Invite:
        """Add an invitation; raise `TooManyInvitesError`."""
        self._drop_old(now)
        same = [one for one in self._live.values() if one.grant.name == grant.name]
        if len(same) >= INVITES_MAX:
            raise TooManyInvitesError(same[0].ends_at - now)
        made = Invite(grant, page, now + INVITE_SECONDS)
        self._live[_digest(secret)] = made
        return made

    def find(self, secret: str, now: float) -> Invite | None:
        """Return an invitation without using it; None if there is none any more."""
        found = self._live.get(_digest(secret))
        return found if found is not None and now < found.ends_at else None

    def use(self, secret: str, now: float) -> Invite | None:
        """Return an invitation, which is gone then; None if there is none any more."""
        found = self.find(secret, now)
        self._live.pop(_digest(secret), None)
        return found

    def _drop_old(self, now: float) -> None:
        self._live = {digest: one for digest, one in self._live.items() if now < one.ends_at}


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
