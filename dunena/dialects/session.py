"""One WebSocket client: which dialect it speaks, what it follows, its messages answered.

Which dialect (the contract, "Which dialect"): ``type`` means dunena, ``action`` the object store.
A client that gave no hint is greeted as dunena's document says and may mix both; if its very first
message is an ``action``, the automatic event stream ends.
"""

from collections.abc import Callable

from dunena.dialects import dunena, object_store
from dunena.dialects.core import Core
from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import (
    ClientError,
    InvalidMessageError,
    LimitError,
    StorageFailedError,
)
from dunena.dialects.messages import object_store_error, reply, undecided_error
from dunena.frames import text_frame
from dunena.hub import CACHE_EVENTS
from dunena.store.store import WriteRefusedError
from dunena.store.values import InvalidJsonError, JsonValue, decode


class Session:
    """A client's state; ``reply`` and ``push`` queue a finished frame for it.

    A reply answers its request, a push is an update or event it follows.
    ``dialect`` is AUTO until the first message that shows one, and then says how a message that
    shows none is answered; ``is_strict`` means that the client chose one and has no other.
    """

    __slots__ = (
        "_channels",
        "_keys",
        "_reply",
        "core",
        "dialect",
        "id",
        "is_strict",
        "push",
    )

    def __init__(
        self,
        core: Core,
        dialect: Dialect,
        session_id: str,
        *,
        reply: Callable[[bytes], None],
        push: Callable[[bytes], None],
    ) -> None:
        self.core = core
        self.dialect = dialect
        self.is_strict = dialect is not Dialect.AUTO
        self.id = session_id
        self._reply = reply
        self.push = push
        self._keys: set[tuple[str, str]] = set()
        self._channels: set[str] = set()

    def open(self, now: int) -> None:
        """Greet the client; an object-store client gets nothing it did not ask for."""
        if self.dialect is not Dialect.OBJECT_STORE:
            self._send(reply("connected", {"id": self.id}, now))
            self.follow_channel(CACHE_EVENTS)

    def receive(self, text: bytes, now: int) -> None:
        """Answer one message, whatever it is; ``now`` in Unix ms."""
        message: JsonValue = None
        try:
            message = _decoded(text)
            answer = self._respond(message, now)
        except ClientError as error:
            answer = self._error(message, error, now)
        except WriteRefusedError as refused:
            answer = self._error(message, StorageFailedError(refused.reason), now)
        if answer is not None:
            self._send(answer)

    def refuse(self, error: ClientError, now: int) -> None:
        """Answer a message that is not even looked at."""
        self._send(self._error(None, error, now))

    def close(self) -> None:
        """The client is gone: nothing is put to it any more."""
        for ns, key in self._keys:
            self.core.hub.unfollow_key(ns, key, self)
        for channel in self._channels:
            self.core.hub.unfollow_channel(channel, self)
        self._keys.clear()
        self._channels.clear()

    @property
    def subscription_count(self) -> int:
        """Keys and channels it follows."""
        return len(self._keys) + len(self._channels)

    def follow_key(self, ns: str, key: str) -> None:
        """Receive the key's value updates; raise `LimitError` with too many subscriptions."""
        self._check_count(is_new=(ns, key) not in self._keys)
        self._keys.add((ns, key))
        self.core.hub.follow_key(ns, key, self)

    def unfollow_key(self, ns: str, key: str) -> None:
        """Receive them no more."""
        self._keys.discard((ns, key))
        self.core.hub.unfollow_key(ns, key, self)

    def follow_channel(self, channel: str) -> None:
        """Receive the channel's events; raise `LimitError` with too many subscriptions."""
        self._check_count(is_new=channel not in self._channels)
        self._channels.add(channel)
        self.core.hub.follow_channel(channel, self)

    def unfollow_channel(self, channel: str) -> None:
        """Receive them no more."""
        self._channels.discard(channel)
        self.core.hub.unfollow_channel(channel, self)

    def _check_count(self, *, is_new: bool) -> None:
        count_max = self.core.limits.subscriptions_max
        if is_new and self.subscription_count >= count_max:
            raise LimitError(f"Subscriptions exceed max count ({count_max})")

    def _send(self, payload: bytes) -> None:
        self._reply(text_frame(payload))

    def _dialect_of(self, message: JsonValue) -> Dialect:
        """The dialect a message shows; AUTO if it shows none that this client may speak."""
        if self.is_strict:
            return self.dialect
        if isinstance(message, dict):
            if "type" in message:
                return Dialect.DUNENA
            if "action" in message:
                return Dialect.OBJECT_STORE
        return Dialect.AUTO

    def _respond(self, message: JsonValue, now: int) -> bytes | None:
        shown = self._dialect_of(message)
        self._learn(shown)
        if not isinstance(message, dict):
            raise InvalidMessageError.missing("type")
        if shown is Dialect.OBJECT_STORE and "action" in message:
            return object_store.respond(self, message, now)
        if shown is Dialect.DUNENA and "type" in message:
            return dunena.respond(self, message, now)
        raise InvalidMessageError.missing("type")

    def _learn(self, shown: Dialect) -> None:
        if self.dialect is Dialect.AUTO and shown is not Dialect.AUTO:
            self.dialect = shown
            if shown is Dialect.OBJECT_STORE:
                self.unfollow_channel(CACHE_EVENTS)

    def _error(self, message: JsonValue, error: ClientError, now: int) -> bytes:
        request_id = dunena.request_id_of(message) if isinstance(message, dict) else None
        shown = self._dialect_of(message)
        dialect = self.dialect if shown is Dialect.AUTO else shown
        if dialect is Dialect.DUNENA:
            return reply("error", error.text, now, request_id)
        text = object_store.error_text(error)
        if dialect is Dialect.OBJECT_STORE:
            return object_store_error(text)
        return undecided_error(error.text, text, now, request_id)


def _decoded(text: bytes) -> JsonValue:
    try:
        return decode(text)
    except InvalidJsonError:
        raise InvalidMessageError.not_json() from None
