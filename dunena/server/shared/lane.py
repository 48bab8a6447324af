"""The lane of one WebSocket: its requests are answered in their order, whatever waits for the log.

Requests that may change something are parked and may be under way together. The first other one
waits until all of them are answered, and meanwhile no further message is read.
"""

from collections import deque
from collections.abc import Callable

from dunena.dialects.conversation import Conversation
from dunena.dialects.errors import ClientError, PositionAheadError
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.server.context import Context
from dunena.server.shared.coordinator import Coordinator
from dunena.server.shared.kinds import is_certain, is_conditional, is_ping, may_change
from dunena.server.shared.limits import LANE_BYTES_MAX, LANE_REQUESTS_MAX
from dunena.server.shared.parked import ParkedRequest, PlanResult
from dunena.server.websocket.message_receiver import MessageReceiver, MessageSource
from dunena.store.errors import WriteRefusedError
from dunena.store.values import InvalidJsonError, JsonValue, decode


class LaneReceiver(MessageReceiver):
    """Receives the messages of one connection of a server with a log.

    ``plan_views`` are the services for requests that are planned.
    """

    __slots__ = (
        "_coordinator",
        "_held",
        "_newest",
        "_parked_bytes",
        "_parked_count",
        "_plan_views",
        "_requests",
    )

    def __init__(
        self,
        context: Context,
        conversation: Conversation,
        source: MessageSource,
        coordinator: Coordinator,
        plan_views: Views,
    ) -> None:
        super().__init__(context, conversation, source)
        self._coordinator = coordinator
        self._requests = coordinator.requests
        self._plan_views = plan_views
        self._held: deque[bytes | Callable[[], None]] = deque()
        self._newest: LaneRequest | None = None
        self._parked_count = 0
        self._parked_bytes = 0

    def drop(self) -> None:
        """Remove the references to a lost connection; its parked requests are made all the same."""
        super().drop()
        self._held.clear()

    def defer(self, action: Callable[[], None]) -> None:
        """Do something after the messages that wait for the log."""
        self._held.append(action)
        self._source.hold_input()

    # --- requests ---

    @property
    def is_gone(self) -> bool:
        """Whether nothing can be answered any more."""
        return not self._conversation.is_open

    def plan(self, services: Services, message: dict[str, JsonValue], now: int) -> None:
        """Carry out a message on the planned store; raise what it raises."""
        self._conversation.carry_out(self._plan_views.of(services.grant), message, now)

    def replay(self, services: Services, text: bytes, message: JsonValue, now: int) -> None:
        """Carry out a message, and answer it."""
        conversation = self._conversation
        answer = conversation.answer_to(services, text, message, now)
        if self._coordinator.is_repairing:
            self._coordinator.answer_later(lambda: conversation.reply(answer))
        else:
            conversation.reply(answer)

    def refuse_message(self, message: JsonValue, error: ClientError, now: int) -> None:
        """Answer a message with an error."""
        conversation = self._conversation
        if self._coordinator.is_repairing:
            self._coordinator.answer_later(lambda: conversation.refuse(error, now, message))
        else:
            conversation.refuse(error, now, message)

    def fail(self) -> None:
        """End the connection, as a bug left a message unanswered."""
        self._break()

    def settled(self, size: int, pings: list[tuple[bytes, JsonValue]]) -> None:
        """Learn that a request of so many bytes was answered; answer the pings behind it."""
        self._parked_count -= 1 + len(pings)
        self._parked_bytes -= size
        for text, message in pings:
            self._parked_bytes -= len(text)
            if not self.is_gone:
                self._answer_ping(text, message)
        if not self._parked_count:
            self._newest = None
        self.is_behind = bool(self._parked_count or self._held)
        if self._held and not self._parked_count:
            self._coordinator.continue_later(self._go_on)

    # --- inside ---

    def _answer_ping(self, text: bytes, message: JsonValue) -> None:
        try:
            self.replay(self._conversation.services, text, message, self._tick.now)
        except Exception:  # noqa: BLE001 - a bug ends one connection, not the server
            self._break()

    def _receive(self, message: bytes, now: int) -> None:
        conversation = self._conversation
        if self._parked_count or self._held:
            self._receive_behind(message)
            return
        try:
            if conversation.answer_cached_get(message, now):
                return
            try:
                decoded = decode(message)
            except InvalidJsonError:
                conversation.receive(message, now)  # which answers that
                return
            if may_change(conversation.dialect_of(decoded), decoded):
                self._park(message, decoded)
            else:
                conversation.receive_decoded(message, decoded, now)
        except PositionAheadError:
            self._wait_for_position(message)
        except Exception:  # noqa: BLE001 - a bug ends one connection, not the server
            self._break()

    def _receive_behind(self, message: bytes) -> None:
        """Receive a message while others of the lane wait for the log."""
        if not self._held and self._has_room_for(message):
            try:
                decoded = decode(message)
            except InvalidJsonError:
                decoded = None
            dialect = self._conversation.dialect_of(decoded)
            if may_change(dialect, decoded):
                self._park(message, decoded)
                return
            if self._newest is not None and is_ping(dialect, decoded):
                # Clients end each request with one: it keeps none that comes behind it waiting.
                self._newest.pings.append((message, decoded))
                self._parked_count += 1
                self._parked_bytes += len(message)
                return
        self._hold(message)

    def _has_room_for(self, message: bytes) -> bool:
        return (
            self._parked_count < LANE_REQUESTS_MAX
            and self._parked_bytes + len(message) <= LANE_BYTES_MAX
            and self._requests.has_room
        )

    def _park(self, text: bytes, message: JsonValue) -> None:
        if self._requests.is_stopping:
            # Not refused: who finds the connection ended sends it again, to another node.
            self._hold(text)
            return
        if not self._requests.has_room:
            self._hold(text)
            self._requests.wait_for_room(self._go_on)
            return
        assert isinstance(message, dict), "only an object may change something"
        conversation = self._conversation
        self._parked_count += 1
        self._parked_bytes += len(text)
        self.is_behind = True
        self._newest = LaneRequest(
            self,
            conversation.services,
            text,
            message,
            is_conditional=is_conditional(conversation.dialect_of(message), message),
        )
        self._coordinator.park(self._newest)

    def _hold(self, message: bytes) -> None:
        self._held.append(message)
        self.is_behind = True
        self._source.hold_input()

    def _go_on(self) -> None:
        """Continue with what was held, and then with the input."""
        held, self._held = self._held, deque()
        while held:
            first = held.popleft()
            if not isinstance(first, bytes):
                first()
            elif self._conversation.is_open:
                receive = self._first_receive()
                receive(first, self._tick.begin(receive, first))
            if held and (self._parked_count or self._held):  # what is behind it waits again
                self._held.extend(held)
                self.is_behind = True
                return
        self.is_behind = bool(self._parked_count)
        if not self._held:
            self._source.release_input()


class LaneRequest(ParkedRequest):
    """A message of a lane that waits for the log, with the services that it was permitted.

    ``pings`` came behind it, and are answered when it is.
    """

    def __init__(
        self,
        lane: LaneReceiver,
        services: Services,
        text: bytes,
        message: dict[str, JsonValue],
        *,
        is_conditional: bool,
    ) -> None:
        self._lane = lane
        self._services = services
        self._text = text
        self._message = message
        self.size = len(text)
        self.is_conditional = is_conditional
        self.tries = 0
        self.pings: list[tuple[bytes, JsonValue]] = []

    @property
    def is_gone(self) -> bool:
        """Whether the connection has ended."""
        return self._lane.is_gone

    def plan(self, now: int) -> PlanResult:
        """Carry it out on the planned store."""
        try:
            self._lane.plan(self._services, self._message, now)
        except ClientError as error:
            is_wrong = is_certain(error, is_conditional=self.is_conditional)
            return PlanResult.WRONG if is_wrong else PlanResult.REFUSED
        except WriteRefusedError:
            return PlanResult.REFUSED
        return PlanResult.DONE

    def replay(self, now: int) -> None:
        """Carry it out, and answer it."""
        # What was planned may have become part of a value, unless it was stored as it is.
        message = decode(self._text) if self.is_conditional else self._message
        self._lane.replay(self._services, self._text, message, now)

    def refuse(self, error: ClientError, now: int) -> None:
        """Answer it with an error."""
        self._lane.refuse_message(self._message, error, now)

    def fail(self) -> None:
        """End the connection."""
        self._lane.fail()

    def settled(self) -> None:
        """Let the lane go on."""
        self._lane.settled(self.size, self.pings)
