"""One WebSocket client: which dialect it speaks, what it follows, its messages answered.

Which dialect (the contract, "Which dialect"): ``type`` means dunena, ``action`` the object store.
A client that gave no hint is greeted as dunena's document says and may mix both; if its very first
message is an ``action``, the automatic event stream ends.
"""

from collections.abc import Callable

from dunena.dialects import dunena, object_store
from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import (
    ClientError,
    ForbiddenError,
    InvalidMessageError,
    StorageFailedError,
)
from dunena.dialects.messages import object_store_error, reply, undecided_error
from dunena.dialects.services import Services
from dunena.dialects.subscriptions import Subscriptions
from dunena.hub import Batch
from dunena.store.errors import WriteRefusedError
from dunena.store.values import InvalidJsonError, JsonValue, decode


class Session:
    """A client's state; ``reply`` queues a finished frame for it, ``push`` a batch of them.

    A reply answers its request, a push has updates or events that it follows.
    ``dialect`` is AUTO until the first message that shows one, and then says how a message that
    shows none is answered. A client that chose one from the start has no other.
    """

    __slots__ = (
        "_id",
        "_is_open",
        "_is_strict",
        "_reply",
        "_services",
        "dialect",
        "subscriptions",
    )

    def __init__(
        self,
        services: Services,
        dialect: Dialect,
        session_id: str,
        *,
        reply: Callable[[bytes], None],
        push: Callable[[Batch], None],
    ) -> None:
        self._services = services
        self.dialect = dialect
        self._is_strict = dialect is not Dialect.AUTO
        self._is_open = True
        services.stats.sessions[dialect] += 1
        self._id = session_id
        self._reply = reply
        self.subscriptions = Subscriptions(services.hub, services.limits, push)

    def open(self, now: int) -> None:
        """Greet the client; an object-store client gets nothing it did not ask for."""
        if self.dialect is not Dialect.OBJECT_STORE:
            self._reply(reply("connected", {"id": self._id}, now))
            if self._services.events is not None:
                self.subscriptions.follow_channel(self._services.events)

    def answer_cached_get(self, text: bytes, now: int) -> bool:
        """Answer a message if it is a request that was read before; whether it was."""
        if self.dialect is not Dialect.OBJECT_STORE:
            return False
        entry_id = self._services.get_cache.entry_ids.get(text)  # what was answered was permitted
        if entry_id is None:
            return False
        self._services.stats.cached_gets += 1
        self._reply(object_store.get(self._services, entry_id, now))
        return True

    def receive(self, text: bytes, now: int) -> None:
        """Answer one message, whatever it is; ``now`` in Unix ms."""
        message: JsonValue = None
        try:
            message = decode(text)
            answer = self._respond(text, message, now)
        except ClientError as error:
            self._services.stats.count(error)
            answer = self._error(message, error, now)
        except InvalidJsonError:
            answer = self._error(message, InvalidMessageError.not_json(), now)
        except WriteRefusedError as refused:
            answer = self._error(message, StorageFailedError(refused.reason), now)
        if answer is not None:
            self._reply(answer)

    def receive_binary(self, data: bytes, now: int) -> None:
        """Answer a message that came as binary: it is read like text."""
        self.receive(data, now)

    def refuse(self, error: ClientError, now: int) -> None:
        """Answer a message that is not even looked at."""
        self._services.stats.count(error)
        self._reply(self._error(None, error, now))

    def use_services(self, services: Services) -> list[ForbiddenError]:
        """The client's rights have changed: go on with these; why it follows some keys no more."""
        old, self._services = self._services, services
        return self.subscriptions.keep_permitted(old, services)

    def close(self) -> None:
        """The client is gone: nothing is pushed to it any more."""
        if self._is_open:
            self._is_open = False
            self._services.stats.sessions[self.dialect] -= 1
        self.subscriptions.end()

    def _dialect_of(self, message: JsonValue) -> Dialect:
        """The dialect a message shows; AUTO if it shows none that this client may speak."""
        if self._is_strict:
            return self.dialect
        if isinstance(message, dict):
            if "type" in message:
                return Dialect.DUNENA
            if "action" in message:
                return Dialect.OBJECT_STORE
        return Dialect.AUTO

    def _respond(self, text: bytes, message: JsonValue, now: int) -> bytes | None:
        if not isinstance(message, dict):
            raise InvalidMessageError.missing("type")
        shown = self._dialect_of(message)
        if self.dialect is Dialect.AUTO:
            self._learn(shown)
        if shown is Dialect.OBJECT_STORE and "action" in message:
            answer = object_store.respond(self._services, self.subscriptions, message, now)
            entry_id = object_store.cacheable_key(message)
            if entry_id is not None:
                self._services.get_cache.remember(text, entry_id)
            return answer
        if shown is Dialect.DUNENA and "type" in message:
            return dunena.respond(self._services, self.subscriptions, message, now)
        raise InvalidMessageError.missing("type")

    def _learn(self, shown: Dialect) -> None:
        if self._is_open:
            self._services.stats.sessions[self.dialect] -= 1
            self._services.stats.sessions[shown] += 1
        self.dialect = shown
        if shown is Dialect.OBJECT_STORE and self._services.events is not None:
            self.subscriptions.unfollow_channel(self._services.events)

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
