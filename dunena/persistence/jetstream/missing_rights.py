"""The rights that the servers deny a node which runs; no I/O.

They can change at any time, as the servers take a new configuration without a restart. A server
tells of a denied message when that is sent, and of a denied subscription when it ends that. It says
nothing when a right is given, so what was denied is tried again.
"""

from typing import Final

from dunena.persistence.jetstream.harmless import harmless_messages
from dunena.persistence.jetstream.permissions import Permissions, permissions_of
from dunena.persistence.jetstream.stream_requests import StreamRequests
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Denial, Link, Message, Scheduler

KEPT_S: Final = 3.5
"""After so long without another denial, while it is tried each second, a right is there again."""


class MissingRights:
    """What a node may not do of all that it has to, as far as the servers have said so."""

    __slots__ = ("_denied_s", "_link", "_permissions", "_probes", "_scheduler")

    def __init__(
        self, link: Link, scheduler: Scheduler, terms: LogTerms, requests: StreamRequests
    ) -> None:
        self._link = link
        self._scheduler = scheduler
        self._permissions: Permissions = permissions_of(
            terms.bucket, domain=terms.domain, is_reader=terms.is_reader
        )
        self._probes: list[Message] = harmless_messages(terms, requests)
        self._denied_s: dict[str, float] = {}
        link.on_denied(self._take)

    @property
    def reason(self) -> str | None:
        """What is denied, for people; None if nothing is."""
        if not self._denied_s:
            return None
        return f"NATS does not let this login {', '.join(self._denied_s)}"

    def look(self) -> None:
        """Try again what is denied; to be called once a second."""
        if not self._denied_s:
            return
        if not self._link.is_connected:
            return  # at another server it may be otherwise; nobody has said so yet
        oldest_s = self._scheduler.now_s() - KEPT_S
        self._denied_s = {what: at_s for what, at_s in self._denied_s.items() if at_s > oldest_s}
        self._link.subscribe_again()
        for probe in self._probes:
            self._link.publish(probe)

    def _take(self, denial: Denial) -> bool:
        """Learn of a denial; return whether a node needs what is denied."""
        if denial.is_subscription:
            verb, subjects = "subscribe to", self._permissions.subscribe
        else:
            verb, subjects = "publish to", self._permissions.publish
        for subject in subjects:
            if _covers(subject.lower(), denial.subject):
                self._denied_s[f"{verb} {subject}"] = self._scheduler.now_s()
                return True
        return False


def _covers(pattern: str, subject: str) -> bool:
    return subject == pattern or (pattern.endswith(">") and subject.startswith(pattern[:-1]))
