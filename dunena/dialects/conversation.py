"""A WebSocket client's conversation: its dialect, its subscriptions, the answers to its messages.

Rule (the contract, "Which dialect"): a message with ``type`` is of the dunena dialect, one with
``action`` of the object store. A client that chose no dialect gets the greeting of the dunena
dialect and may use both; if its first message has an ``action``, the automatic event stream ends.
"""

from typing import Final

from dunena.dialects import dunena, object_store, operations, watching
from dunena.dialects.client_watches import Pacing
from dunena.dialects.dialect import Dialect, request_id_of
from dunena.dialects.errors import (
    ClientError,
    ForbiddenError,
    InvalidMessageError,
    PositionAheadError,
    StorageFailedError,
)
from dunena.dialects.messages import object_store_error, reply, undecided_error
from dunena.dialects.output import Output
from dunena.dialects.plain_set import may_be_plain_set, read_plain_set
from dunena.dialects.services import Holder, Services
from dunena.dialects.subscriptions import Subscriptions
from dunena.store.errors import WriteRefusedError
from dunena.store.long_strings import LONG_TEXT_BYTES
from dunena.store.values import InvalidJsonError, JsonValue, decode
from dunena.watches.pending import PendingUpdate

# Every message is compared with them, and in Python 3.11 naming a member calls a function.
_AUTO: Final = Dialect.AUTO
_DUNENA: Final = Dialect.DUNENA
_OBJECT_STORE: Final = Dialect.OBJECT_STORE

_ERRORS: Final = (ClientError, PositionAheadError, InvalidJsonError, WriteRefusedError)


class Conversation:
    """The state of a client.

    ``output`` queues its answers, and what it is subscribed to. ``pacing`` makes the subscriber of
    a watch that wants so many ms between two updates. ``holder`` has the client's session; without
    one it can have none. ``dialect`` is AUTO until the first message
    that shows a dialect; then it decides how messages that show none are answered. A client that
    chose a dialect in its handshake uses only that one.
    """

    __slots__ = (
        "_is_open",
        "_is_strict",
        "_output",
        "_services",
        "dialect",
        "subscriptions",
    )

    def __init__(
        self,
        services: Services,
        dialect: Dialect,
        *,
        output: Output,
        pacing: Pacing,
        holder: Holder | None = None,
    ) -> None:
        self._services = services
        self.dialect = dialect
        self._is_strict = dialect is not _AUTO
        self._is_open = True
        services.stats.conversations[dialect] += 1
        self._output = output
        self.subscriptions = Subscriptions(
            services.hub, services.watches, services.limits, output, pacing, holder
        )

    def open(self, client_id: str, now: int) -> None:
        """Send the greeting and start the events, unless the client chose the object store.

        ``client_id`` is what the greeting calls the client, ``now`` is in Unix ms.
        """
        if self.dialect is not _OBJECT_STORE:
            self._output.put(reply("connected", {"id": client_id}, now))
            if self._services.events is not None:
                self.subscriptions.follow_channel(self._services.events)

    def answer_cached_get(self, text: bytes, now: int) -> bool:
        """Answer a message if it is a cached `get`; return whether it was answered.

        ``now`` is in Unix ms.
        """
        services, dialect = self._services, self.dialect
        if dialect is _OBJECT_STORE:
            if may_be_plain_set(text):
                return False  # most often it is one: looking it up would cost a hash of all of it
            entry_id = services.get_cache.entry_ids.get(text)  # of messages that were permitted
            if entry_id is None:
                return False
            services.stats.cached_gets += 1
            self._output.put(object_store.get(services, entry_id, now))
            return True
        if dialect is _DUNENA:
            entry_id = services.get_cache.dunena_ids.get(text)
            if entry_id is None:
                return False
            services.stats.count_dunena("get")
            self._output.put(dunena.get(services, entry_id, now, None))
            return True
        return False

    def is_cached_get(self, text: bytes) -> bool:
        """Whether a message was answered before as a `get`, to this or another client."""
        cache = self._services.get_cache
        return text in (cache.entry_ids if self.dialect is _OBJECT_STORE else cache.dunena_ids)

    def receive(self, text: bytes, now: int) -> None:
        """Answer one message, with an error if it is wrong; ``now`` is in Unix ms.

        Raise `PositionAheadError` if the client knows more than this server.
        """
        message: JsonValue = None
        answer: bytes | PendingUpdate | None
        try:
            if self.dialect is _OBJECT_STORE and len(text) < LONG_TEXT_BYTES:
                plain_set = read_plain_set(text, self._services.plain_keys)
                if plain_set is not None:
                    object_store.carry_out_set(self._services, plain_set, now)
                    return
            message = decode(text)
            answer = self._respond(self._services, text, message, now)
        except _ERRORS as error:
            answer = self._explain(error, text, message, now)
        if answer is not None:
            self._output.put(answer)

    def receive_decoded(self, text: bytes, message: JsonValue, now: int) -> None:
        """Answer one message that is decoded already, as `receive` does."""
        # Nothing more than there: with a shared store every message that reads comes this way.
        answer: bytes | PendingUpdate | None
        try:
            answer = self._respond(self._services, text, message, now)
        except _ERRORS as error:
            answer = self._explain(error, text, message, now)
        if answer is not None:
            self._output.put(answer)

    def answer_to(
        self, services: Services, text: bytes, message: JsonValue, now: int
    ) -> bytes | PendingUpdate | None:
        """Carry out one message, and return its answer for `reply`."""
        try:
            return self._respond(services, text, message, now)
        except _ERRORS as error:
            return self._explain(error, text, message, now)

    def reply(self, answer: bytes | PendingUpdate | None) -> None:
        """Send an answer, if there is one."""
        if answer is not None:
            self._output.put(answer)

    def carry_out(self, services: Services, message: dict[str, JsonValue], now: int) -> None:
        """Carry out a message with other services, and answer nothing.

        ``now`` is in Unix ms. Raise `ClientError` and `WriteRefusedError`.
        """
        if self.dialect_of(message) is _OBJECT_STORE and "action" in message:
            object_store.respond(services, self.subscriptions, message, now)
        else:
            dunena.respond(services, self.subscriptions, message, now)

    @property
    def is_open(self) -> bool:
        """Whether the client is connected."""
        return self._is_open

    @property
    def services(self) -> Services:
        """What the client's rights permit at present."""
        return self._services

    def refuse(self, error: ClientError, now: int, message: JsonValue = None) -> None:
        """Answer a message with ``error`` without carrying it out; ``now`` is in Unix ms.

        ``message`` is what was decoded of it, None if it was not.
        """
        self._services.stats.count(error)
        self._output.put(self._error(message, error, now))

    def use_services(self, services: Services) -> list[ForbiddenError]:
        """Replace the services when the client's rights have changed.

        Return an error for each subscription that has ended because it is no longer permitted.
        """
        old, self._services = self._services, services
        return self.subscriptions.keep_permitted(old, services)

    @property
    def is_watching(self) -> bool:
        """Whether the client has watches."""
        return self.subscriptions.is_watching

    def tell_watches_again(self, now: int) -> None:
        """Send the whole state of all watches, after `use_services`; ``now`` is in Unix ms."""
        for answer in watching.watch_again(self._services, self.subscriptions, now):
            self._output.put(answer)

    def close(self) -> None:
        """End the conversation and its subscriptions when the client has disconnected."""
        if self._is_open:
            self._is_open = False
            self._services.stats.conversations[self.dialect] -= 1
        self.subscriptions.end()

    def dialect_of(self, message: JsonValue) -> Dialect:
        """Return the dialect that a message shows; AUTO if it shows none."""
        if self._is_strict:
            return self.dialect
        if isinstance(message, dict):
            if "type" in message:
                return _DUNENA
            if "action" in message:
                return _OBJECT_STORE
        return _AUTO

    def _respond(
        self, services: Services, text: bytes, message: JsonValue, now: int
    ) -> bytes | PendingUpdate | None:
        if not isinstance(message, dict):
            raise InvalidMessageError.missing("type")
        shown_dialect = self.dialect_of(message)
        if self.dialect is _AUTO:
            self._choose_dialect(shown_dialect)
        if shown_dialect is _OBJECT_STORE and "action" in message:
            answer = object_store.respond(services, self.subscriptions, message, now)
            if message["action"] == "get" and "type" not in message and "rev" not in message:
                services.get_cache.remember(text, object_store.entry_id_of(message))
            return answer
        if shown_dialect is _DUNENA and "type" in message:
            answer = dunena.respond(services, self.subscriptions, message, now)
            if dunena.is_plain_get(message):
                services.get_cache.remember_dunena(text, dunena.entry_id_of(message))
            return answer
        raise InvalidMessageError.missing("type")

    def _choose_dialect(self, shown_dialect: Dialect) -> None:
        if self._is_open:
            self._services.stats.conversations[self.dialect] -= 1
            self._services.stats.conversations[shown_dialect] += 1
        self.dialect = shown_dialect
        if shown_dialect is _OBJECT_STORE and self._services.events is not None:
            self.subscriptions.unfollow_channel(self._services.events)

    def _explain(self, error: Exception, text: bytes, message: JsonValue, now: int) -> bytes:
        """Make the answer to a message that was refused; raise `PositionAheadError` again."""
        if isinstance(error, ClientError):
            self._services.stats.count(error)
            return self._error(message, error, now)
        if isinstance(error, PositionAheadError):
            self.subscriptions.await_position(error.selector, text)
            raise error
        if isinstance(error, WriteRefusedError):
            return self._error(message, StorageFailedError(error.reason), now)
        return self._error(message, InvalidMessageError.not_json(), now)

    def _error(self, message: JsonValue, error: ClientError, now: int) -> bytes:
        request_id = request_id_of(message) if isinstance(message, dict) else None
        shown_dialect = self.dialect_of(message)
        dialect = self.dialect if shown_dialect is _AUTO else shown_dialect
        fields = _fields_of(message, dialect, error)
        if dialect is _DUNENA:
            return reply("error", error.text, now, request_id, fields)
        if fields is not None and dialect is _OBJECT_STORE:
            return object_store_error(error.text, fields, request_id)
        text = object_store.error_text(error)
        if dialect is _OBJECT_STORE:
            return object_store_error(text)
        return undecided_error(error.text, text, now, request_id)


def _fields_of(
    message: JsonValue, dialect: Dialect, error: ClientError
) -> dict[str, object] | None:
    """Return the fields that an error has for programs; None for an answer to an old message."""
    if not isinstance(message, dict):
        return None
    if dialect is _OBJECT_STORE:
        is_new = operations.is_new(message, "action") or ("action" in message and "id" in message)
    else:
        is_new = operations.is_new(message, "type")
    return {"code": error.code, **error.fields} if is_new else None
