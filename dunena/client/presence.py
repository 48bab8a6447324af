"""The session of a client, and the keys by which it presents itself.

A session spans lost connections: each connection resumes it with a secret that the server gave to
the one before. If the server has ended it meanwhile, the ephemeral keys went with it: then what the
client presents is set once more.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dunena.client.errors import Error, is_passing
from dunena.client.requests import KeyId, PendingRequest, Question, action, encoded


@dataclass(frozen=True, slots=True)
class Session:
    """What the server shall know of a client across lost connections.

    ``timeout``: ms of silence after which the server ends the connection, 2000 to 60,000; None is
    the server's default. ``grace``: ms that the session outlives a lost connection, at most 60,000.
    ``name`` is what the server calls the client in its lists. ``will``: operations that the server
    carries out when the session has ended, each a dict with the fields of a `txn` message.
    """

    timeout: int | None = None
    grace: int | None = None
    name: str | None = None
    will: Iterable[Mapping[str, Any]] = ()


class SessionStart(Question):
    """The request that begins or resumes a session on a new connection.

    ``secret`` is that of the session to resume, None for a new one. ``ns`` is the namespace of
    operations of the will that name none. ``on_end`` is called with the
    answer, None if the server refused. Raise `TypeError` for a session that is no JSON.
    """

    __slots__ = ("_on_end",)

    def __init__(
        self,
        session: Session,
        ns: str,
        secret: str | None,
        on_end: "Callable[[SessionStart], None]",
    ) -> None:
        will = [{"ns": ns, **op} if ns else dict(op) for op in session.will]
        fields: dict[str, object] = {
            "timeout": session.timeout,
            "grace": session.grace,
            "name": session.name,
            "will": encoded(will) if will else None,
            "resume": secret,
        }
        super().__init__("session", fields)
        self.is_kept = False
        self._on_end = on_end

    def finish(self, error: Error | None = None) -> None:
        """End the request with its answer, or with ``error``."""
        super().finish(error)
        self._on_end(self)


class PresenceRequest(PendingRequest):
    """The request that sets the key of a presence; ``is_set`` tells whether the server did."""

    __slots__ = ("_on_refusal", "state")

    def __init__(self, key_id: KeyId, state: Any, on_refusal: Callable[[], None]) -> None:
        super().__init__([action("set", key_id, value=encoded(state), ephemeral=True)])
        self.state = state
        self._on_refusal = on_refusal

    @property
    def is_set(self) -> bool:
        """Whether the server has carried it out."""
        return self.is_done and self.error is None

    def finish(self, error: Error | None = None) -> None:
        """End the request with its answer, or with ``error``."""
        super().finish(error)
        if error is not None:
            self._on_refusal()


class Presences:
    """What a client presents, by key."""

    def __init__(self) -> None:
        self._requests: dict[KeyId, PresenceRequest] = {}

    def change(self, key_id: KeyId, fields: Any) -> PresenceRequest:
        """Add fields to a state, or replace it by what is no dict; return the request to send.

        If that is refused the state before holds again. Raise `TypeError` for what is no JSON.
        """
        before = self._requests.get(key_id)
        state = fields
        if before is not None and isinstance(before.state, Mapping) and isinstance(fields, Mapping):
            state = {**before.state, **fields}

        def take_back() -> None:
            if self._requests.get(key_id) is not request:
                return
            if before is None:
                del self._requests[key_id]
            else:
                self._requests[key_id] = before

        request = PresenceRequest(key_id, state, take_back)
        self._requests[key_id] = request
        return request

    @property
    def are_due(self) -> bool:
        """Whether some were not set, as that is impossible for a moment."""
        return any(is_passing(request.error) for request in self._requests.values())

    def leave(self, key_id: KeyId) -> None:
        """Present a key no more."""
        self._requests.pop(key_id, None)

    def renew(
        self, pending: Collection[PendingRequest], *, is_resumed: bool
    ) -> list[PresenceRequest]:
        """Return the requests that a new connection needs; ``is_resumed``: of the same session.

        ``pending`` are those that are going to be sent, or were sent on it.
        """
        missing = [
            (key_id, request)
            for key_id, request in self._requests.items()
            if request not in pending and not (is_resumed and request.is_set)
        ]
        for key_id, request in missing:
            self._requests[key_id] = PresenceRequest(key_id, request.state, lambda: None)
        return [self._requests[key_id] for key_id, _ in missing]
