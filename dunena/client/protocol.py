"""The client's side of the protocol, without input and output.

A shell reports what the server sent (`receive`), that a connection was made or ended (`connected`,
`disconnected`) and that time has passed (`beat`); it sends the frames in `outgoing`. The protocol
calls `PendingRequest.on_done` when a request is answered, and the `wake` of a feed when an update
or event has arrived. Nothing here blocks, and nothing is thread-safe: the shells take care of both.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from dunena.client.errors import (
    ClosedError,
    ConflictError,
    Error,
    NoAnswerError,
    RequestError,
    is_passing,
)
from dunena.client.feeds import CACHE_EVENTS, Events, Messages, Source, Watch
from dunena.client.presence import Presences, Session, SessionStart
from dunena.client.requests import (
    ClockTimes,
    Deletion,
    EpochQuery,
    FollowedKey,
    Following,
    KeyId,
    OnceOnlyRequest,
    PendingRequest,
    Publication,
    Question,
    Reading,
    Subscription,
    UnansweredDeletion,
    action,
    channel_frame,
    check_names,
    encoded,
    is_printable,
)
from dunena.client.server_clock import ServerClock
from dunena.client.state import FollowedState, Selection, StateRequest, StateSource

BEAT_SECONDS_MAX = 4.0
"""Longest time between two calls of `beat`."""

BEAT_SECONDS_MIN = 0.5
"""Shortest one, whatever timeout a session asks for.

A server refuses a timeout below 2 s and the connection goes on without a session: with beats of a
fraction of a millisecond it would count as dead before the first answer came.
"""

_BEATS_IN_TIMEOUT = 3
"""Beats in the time after which the server ends a silent connection, if a session has one."""

SILENT_BEATS_MAX = 2
"""Beats without a message of the server after which a connection counts as dead."""

WAITING_MAX = 10_000
"""Requests that may wait for a connection."""

_TOO_LARGE = 1009
"""Close code of a peer that got a larger message than it accepts (RFC 6455, 7.4.1)."""


class ClientProtocol:
    """The protocol of one client. ``on_outgoing`` is called when `outgoing` has new frames.

    ``read_clocks`` tells how long ago an operation was sent. ``unopened`` is the text of the
    `ClosedError` that a request before `open` raises; "" lets such requests wait. ``session`` is
    begun on the first connection and resumed on the others; ``ns`` is the namespace of its will.
    Raise `TypeError` for a session that is no JSON.
    """

    def __init__(
        self,
        on_outgoing: Callable[[], None],
        read_clocks: Callable[[], ClockTimes],
        unopened: str = "",
        session: Session | None = None,
        ns: str = "",
    ) -> None:
        self._unopened = unopened
        self._session = session
        self._session_ns = ns
        self._session_secret: str | None = None
        self.session_error: Error | None = None
        self._is_session_due = False
        self._presences = Presences()
        if session is not None:
            self._make_session_start()  # which finds its errors now
        self._read_clocks = read_clocks
        self.outgoing: deque[bytes] = deque()
        self.is_connected = False
        self._on_outgoing = on_outgoing
        self._followed_keys: dict[KeyId, FollowedKey] = {}
        self._followed_states: dict[Selection, FollowedState] = {}
        self._events: list[Events] = []
        self._channels: dict[str, list[Messages]] = {}
        self._server_clock = ServerClock()
        self._sent: deque[PendingRequest] = deque()
        self._waiting: deque[PendingRequest] = deque()
        self._last_id = 0
        self._epoch_query: EpochQuery | None = None  # of this connection
        self._has_operated = False
        self._is_closed = False
        self._is_heard = False
        self._silent_beats = 0

    # --- requests ---

    def read(self, keys: Iterable[str], ns: str) -> PendingRequest:
        """Request raw updates of keys, by key; `feeds.MISSING` for those without a value."""
        return self._ask(Reading((ns, key) for key in keys))

    def write(
        self,
        entries: Mapping[str, Any],
        ns: str,
        ttl: int | None,
        durable: bool | None,
        ephemeral: bool | None = None,
    ) -> PendingRequest:
        """Request to store values for ``ttl`` ms; each is stored or refused by itself."""
        options = {"ttl": ttl, "durable": durable, "ephemeral": ephemeral}
        frames = [
            action("set", (ns, key), value=encoded(value), **options)
            for key, value in entries.items()
        ]
        return self._ask(PendingRequest(frames))

    def delete(self, key: str, ns: str, durable: bool | None) -> PendingRequest:
        """Request to delete a key; the result says whether it had a value."""
        if is_printable(key, ns):
            return self._ask(Deletion((ns, key), durable))
        return self._ask(UnansweredDeletion((ns, key), durable, self.read([key], ns)))

    def operate(self, name: str, fields: dict[str, object]) -> PendingRequest:
        """Request an operation or transaction, carried out once; the result is its answer's data.

        ``fields`` are those of the message; the ones that are None are left out.
        """
        return self._ask(OnceOnlyRequest(name, fields))

    def query(self, name: str, fields: dict[str, object]) -> PendingRequest:
        """Request what a message of these fields asks for; the result is its answer's data."""
        return self._ask(Question(name, fields))

    def publish(self, channel: str, data: Any) -> PendingRequest:
        """Request to send a message to the subscribers of a channel."""
        return self._ask(Publication(channel, data))

    def present(self, key: str, state: Any, ns: str) -> PendingRequest:
        """Request to add fields to what the client presents by a key; None: leave.

        The key is set again on each connection that does not resume the session.
        """
        self._check_open()
        if state is not None:
            return self._ask(self._presences.change((ns, key), state))
        self._presences.leave((ns, key))
        return self._ask(PendingRequest([action("delete", (ns, key))]))

    def barrier(self) -> PendingRequest:
        """Make a request that is answered when the server has carried out all earlier ones."""
        return self._ask(PendingRequest())

    def forget(self, request: PendingRequest) -> None:
        """Drop a request that nobody waits for any more."""
        request.on_done, request.is_kept = None, False
        if request in self._waiting:
            self._waiting.remove(request)

    def server_time(self) -> float | None:
        """Return the time of the server's clock, in Unix ms; None until the first pong.

        Raise `ClosedError` if the client is not open.
        """
        self._check_open()
        if self._is_closed:
            raise ClosedError("The store was closed")
        return self._server_clock.time(self._read_clocks()[0])

    # --- feeds ---

    def follow(self, source: Source[Any]) -> None:
        """Feed a watch with the current and all later values of its keys, or events from now on.

        Raise `TypeError` for a key or namespace that JSON cannot express.
        """
        self._check_open()
        if self._is_closed:
            source.fail(ClosedError("The store was closed"))
        elif isinstance(source, Watch):
            check_names([(source.ns, key) for key in source.keys])
            for key in source.keys:
                self._watch(source, key)
        elif isinstance(source, StateSource):
            self._watch_state(source)
        elif isinstance(source, Messages):
            self._subscribe(source)
        elif isinstance(source, Events):
            self._events.append(source)
            if len(self._events) == 1:
                self._send_channel()

    def unfollow(self, source: Source[Any]) -> None:
        """Stop feeding a watch or events; unsubscribe from what nobody follows any more."""
        source.is_closed = True
        if isinstance(source, Watch):
            for key in source.keys:
                followed_key = self._followed_keys.get((source.ns, key))
                if followed_key is not None and source in followed_key.watches:
                    followed_key.watches.remove(source)
                    self._drop_unused(followed_key)
        elif isinstance(source, StateSource):
            self._unwatch_state(source)
        elif isinstance(source, Messages):
            self._unsubscribe(source)
        elif isinstance(source, Events) and source in self._events:
            self._events.remove(source)
            if not self._events:
                self._send_channel()

    # --- the connection ---

    @property
    def beat_seconds(self) -> float:
        """Time between two calls of `beat`: the server must hear of a client within a timeout."""
        timeout = None if self._session is None else self._session.timeout
        if timeout is None:
            return BEAT_SECONDS_MAX
        return max(BEAT_SECONDS_MIN, min(BEAT_SECONDS_MAX, timeout / 1000 / _BEATS_IN_TIMEOUT))

    def open(self) -> None:
        """Accept requests: the shell connects from now on."""
        self._unopened = ""

    def connected(self) -> None:
        """Start on a new connection: the session, what is followed, and unanswered requests."""
        self.is_connected = True
        self._server_clock.begin()
        self._is_heard, self._silent_beats = True, 0
        self._is_session_due = False
        if self._session is not None:
            self._send(self._make_session_start())
        self._send_channel()
        if self._has_operated:
            self._ask_epoch()
        for followed_key in self._followed_keys.values():
            self._send(Following(followed_key))
        for followed_state in self._followed_states.values():
            if followed_state.error is None:
                self._send(StateRequest(followed_state))
        for channel, sources in self._channels.items():
            self._send(Subscription(channel, sources))
        if self._session is None:
            self._renew_presences(is_resumed=False)
        if not any(isinstance(request, OnceOnlyRequest) for request in self._waiting):
            self._send_waiting()

    def disconnected(self, close_code: int | None = None) -> None:
        """End the connection: unanswered requests wait for the next one.

        ``close_code`` is that of the WebSocket, if it had one. If it says that a message was too
        large, the request of the largest one fails.
        """
        self.is_connected = False
        self._epoch_query = None
        self.outgoing.clear()
        for followed_key in self._followed_keys.values():
            followed_key.is_live = False
        for followed_state in self._followed_states.values():
            followed_state.lose()
        for sources in self._channels.values():
            for messages in sources:
                messages.lose()
        sent, self._sent = self._sent, deque()
        for request in sent:
            request.lose()
        if close_code == _TOO_LARGE and sent:
            # Which message it was is not said. Whichever it was, the largest is too large as well.
            largest = max(sent, key=lambda request: request.frame_bytes_max)
            sent.remove(largest)
            self._refuse(largest)
        self._waiting.extendleft(request for request in reversed(sent) if request.is_kept)
        for followed_key in list(self._followed_keys.values()):
            self._drop_unused(followed_key)

    def beat(self) -> bool:
        """Count `beat_seconds` of time and send a ping; return False if the connection is dead."""
        self._sweep()
        self._silent_beats = 0 if self._is_heard else self._silent_beats + 1
        self._is_heard = False
        if self.is_connected:
            self._ask_again()
            self._send(PendingRequest(is_kept=False))
        return self._silent_beats < SILENT_BEATS_MAX

    def close(self) -> None:
        """Close for good: end all requests and feeds with a `ClosedError`."""
        self._is_closed = True
        self.disconnected()
        error = ClosedError("The store was closed")
        waiting, self._waiting = self._waiting, deque()
        for request in waiting:
            request.finish(error)
        for followed_key in list(self._followed_keys.values()):
            for watch in followed_key.watches:
                watch.fail(error)
        for followed_state in self._followed_states.values():
            followed_state.fail(error)
        for events in self._events:
            events.fail(error)
        for sources in self._channels.values():
            for messages in sources:
                messages.fail(error)

    def receive(self, raw: bytes) -> None:
        """Interpret one message of the server."""
        self._is_heard = True
        message = orjson.loads(raw)
        if not isinstance(message, dict):
            return
        kind = message.get("type")
        if kind == "pong":
            self._finish_answered(message.get("id"), message.get("timestamp"))
        elif "event" in message:
            self._tell_channel(message, raw)
        elif "value" in message:
            self._update((message.get("ns", ""), message["key"]), raw)
        elif "update" in message:
            self._update_state(message["update"], message.get("id"))
        elif self._sent:
            request = self._answered_by(message)
            if kind == "result":
                request.answer = message["data"]
            elif "result" in message:
                request.answer = message["result"]
            elif (kind == "error" or kind is None) and request.error is None:
                request.error = _error_of(message)

    # --- inside ---

    def _check_open(self) -> None:
        """Raise `ClosedError` before `open`: a request would wait for a connection in vain."""
        if self._unopened and not self._is_closed:
            raise ClosedError(self._unopened)

    def _ask(self, request: PendingRequest) -> PendingRequest:
        self._check_open()
        if self._is_closed:
            request.finish(ClosedError("The store was closed"))
        elif self._may_send(request):
            self._send(request)
        elif len(self._waiting) < WAITING_MAX:
            self._waiting.append(request)
        else:
            request.finish(Error("Not connected, and too many requests wait for it"))
        return request

    def _may_send(self, request: PendingRequest) -> bool:
        """Return whether to send a new request at once; ask for the epoch that it has to wait for.

        Whatever is requested after a request that waits is sent after it.
        """
        if isinstance(request, OnceOnlyRequest):
            self._has_operated = True
            if self.is_connected and self._epoch_query is None:
                self._ask_epoch()
            if self._epoch_query is None or not self._epoch_query.is_done:
                return False
        return self.is_connected and not self._waiting

    def _watch(self, watch: Watch, key: str) -> None:
        key_id = (watch.ns, key)
        followed_key = self._followed_keys.get(key_id)
        if followed_key is None:
            followed_key = self._followed_keys[key_id] = FollowedKey(key_id)
            if self.is_connected:
                self._send(Following(followed_key))
        followed_key.watches.append(watch)
        if followed_key.is_live:
            watch.tell(key, followed_key.raw, may_be_known=False)

    def _send(self, request: PendingRequest) -> None:
        if isinstance(request, OnceOnlyRequest) and self._epoch_query is not None:
            reason = request.note_sending(self._epoch_query.result(), self._read_clocks())
            if reason:
                request.finish(NoAnswerError(f"{reason}: it may or may not have been done"))
                return
        self._last_id += 1
        request.sent_at = self._read_clocks()[0]
        frames = request.begin(self._last_id, self._followed_keys)
        request.frame_bytes_max = max(map(len, frames), default=0)
        self.outgoing.extend(frames)
        self.outgoing.append(b'{"type":"ping","id":%d}' % self._last_id)
        self._sent.append(request)
        self._on_outgoing()

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for request in waiting:
            self._send(request)

    def _ask_epoch(self) -> None:
        """Ask for the epoch of the connected server, which operations wait for.

        Without it an operation could not be sent again if the connection was lost.
        """
        self._epoch_query = EpochQuery()
        self._send(self._epoch_query)

    def _refuse(self, request: PendingRequest) -> None:
        """Fail a request whose largest frame is too large to be sent again."""
        size = f"{request.frame_bytes_max} bytes"
        text = f"The message is too large for the server or for a proxy in front of it ({size})"
        request.finish(RequestError(text))
        if isinstance(request, Following):
            followed_key = request.followed_key
            if self._followed_keys.get(followed_key.key_id) is followed_key:
                del self._followed_keys[followed_key.key_id]  # or it is subscribed to again

    def _send_channel(self) -> None:
        """Subscribe to the events, which a new connection gets anyway, or unsubscribe from them."""
        if self.is_connected:
            name = b"subscribe" if self._events else b"unsubscribe"
            self.outgoing.append(b'{"type":"%b","channel":"%b"}' % (name, CACHE_EVENTS.encode()))
            self._on_outgoing()

    def _answered_by(self, message: dict[str, Any]) -> PendingRequest:
        """Return the request that a message answers: by its number, else the first that waits."""
        number = message.get("id")
        if isinstance(number, int):
            for request in self._sent:
                if request.id == number:
                    return request
        return self._sent[0]

    def _finish_answered(self, request_id: object, timestamp: object) -> None:
        """Finish the request with this number, and those that were sent before it.

        ``timestamp`` is the time of the server's clock at which it answered.
        """
        refusal: Error | None = None
        while self._sent and isinstance(request_id, int) and self._sent[0].id <= request_id:
            request = self._sent.popleft()
            if request.id == request_id and isinstance(timestamp, int):
                self._server_clock.note(timestamp, request.sent_at, self._read_clocks()[0])
            # A refused ping has no pong: the next pong ends its request. The refusal was stored in
            # the first request that waited.
            is_answered = request.error is not None or request.answer is not None
            if not is_answered and request.id < request_id:
                request.error = refusal
            refusal = request.error or refusal
            for followed_key in request.end():
                self._drop_unused(followed_key)
            request.finish(request.error)
            if request is self._epoch_query:
                self._send_waiting()

    def _update(self, key_id: KeyId, raw: bytes) -> None:
        if self._sent and self._sent[0].wants(key_id):
            self._sent[0].take(key_id, raw)
            return
        followed_key = self._followed_keys.get(key_id)
        if followed_key is not None and followed_key.is_live:
            followed_key.show(raw)

    def _make_session_start(self) -> SessionStart:
        assert self._session is not None
        secret = self._session_secret
        return SessionStart(self._session, self._session_ns, secret, self._begin_session)

    def _begin_session(self, request: SessionStart) -> None:
        """Take the answer to a session's request; set again what ended with the session before."""
        self.session_error = request.error
        self._is_session_due = is_passing(request.error)
        if self._is_session_due:
            return
        answer = request.answer if isinstance(request.answer, dict) else {}
        self._session_secret = answer.get("resume")
        if self.is_connected:
            self._renew_presences(is_resumed=answer.get("resumed") is True)

    def _ask_again(self) -> None:
        """Ask again for what was refused as the store of a cluster was away for a moment."""
        if self._is_session_due:
            self._is_session_due = False
            self._send(self._make_session_start())
        elif self._presences.are_due:
            self._renew_presences(is_resumed=True)

    def _renew_presences(self, *, is_resumed: bool) -> None:
        pending = {*self._waiting, *self._sent}
        for request in self._presences.renew(pending, is_resumed=is_resumed):
            self._send(request)

    def _subscribe(self, messages: Messages) -> None:
        check_names([("", messages.channel)])
        sources = self._channels.setdefault(messages.channel, [])
        sources.append(messages)
        if not self.is_connected:
            return
        if len(sources) > 1:
            messages.is_begun = sources[0].is_begun
        else:
            self._send(Subscription(messages.channel, sources))

    def _tell_channel(self, message: dict[str, Any], raw: bytes) -> None:
        if message["event"] in ("message", "gap"):
            for messages in self._channels.get(message["channel"], ()):
                messages.tell(raw, message)
        else:
            for events in self._events:
                events.tell(message)

    def _unsubscribe(self, messages: Messages) -> None:
        sources = self._channels.get(messages.channel, [])
        if messages not in sources:
            return
        sources.remove(messages)
        if not sources:
            del self._channels[messages.channel]
            if self.is_connected:
                frame = channel_frame("unsubscribe", messages.channel)
                self._send(PendingRequest([frame], is_kept=False))

    def _watch_state(self, source: StateSource[Any]) -> None:
        followed = self._followed_states.get(source.selection)
        if followed is None or followed.error is not None:
            followed = self._followed_states[source.selection] = FollowedState(source.selection)
        is_new = not followed.sources
        followed.add(source)
        if self.is_connected and (is_new or followed.is_too_slow):
            self._send(StateRequest(followed))

    def _unwatch_state(self, source: StateSource[Any]) -> None:
        followed = self._followed_states.get(source.selection)
        if followed is None or source not in followed.sources:
            return
        followed.sources.remove(source)
        if not followed.sources:
            del self._followed_states[source.selection]
            if self.is_connected:
                frame = source.selection.message("unwatch")
                self._send(PendingRequest([frame], is_kept=False))

    def _update_state(self, update: dict[str, Any], request_id: object) -> None:
        for request in self._sent:
            if request.id == request_id:
                request.answer = True
        followed = self._followed_states.get(Selection.in_message(update))
        if followed is not None:
            followed.take(update, request_id)

    def _drop_unused(self, followed_key: FollowedKey) -> None:
        if (
            followed_key.watches
            or followed_key.holds
            or self._followed_keys.get(followed_key.key_id) is not followed_key
        ):
            return
        del self._followed_keys[followed_key.key_id]
        if self.is_connected:
            self._send(PendingRequest([action("unsubscribe", followed_key.key_id)], is_kept=False))

    def _sweep(self) -> None:
        """Unfollow feeds that were closed or garbage-collected (`BaseFeed.__del__`)."""
        followed: list[Source[Any]] = [*self._events]
        for followed_key in self._followed_keys.values():
            followed += followed_key.watches
        for followed_state in self._followed_states.values():
            followed += followed_state.sources
        for sources in self._channels.values():
            followed += sources
        for source in followed:
            if source.is_closed:
                self.unfollow(source)


def _error_of(message: dict[str, Any]) -> RequestError:
    """Make the exception for the error of a server."""
    text = message.get("error") or message.get("data") or ""
    code, op = message.get("code", ""), message.get("op")
    if code == "conflict":
        return ConflictError(text, message.get("key", ""), message.get("rev", 0), op)
    return RequestError(text, code, op)
