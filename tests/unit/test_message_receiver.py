"""Received messages become requests of the tick, or close the connection."""

import gc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dunena.dialects.conversation import Conversation
from dunena.dialects.dialect import Dialect
from dunena.server.committed import CommittedOutbox
from dunena.server.limits import AHEAD_MESSAGES_MAX
from dunena.server.outbox import Outbox
from dunena.server.websocket.message_receiver import MessageReceiver
from dunena.telemetry import Telemetry
from tests.support.rooms import Rooms

GET = b'{"action":"get","key":"%b"}'


class Desk:
    """A receiver whose clock belongs to a test; ``is_broken`` breaks replies."""

    def __init__(self, rate_per_second: int = 0) -> None:
        self.rooms = Rooms()
        self.now_seconds = 0.0
        self.is_broken = False
        self.fault: BaseException = RuntimeError("on purpose")
        self.told: list[tuple[str, int]] = []
        self.failures: list[int] = []
        self.outbox = CommittedOutbox(self.schedule_flush, Telemetry(0), lambda _: None)
        self.later: list[Callable[[], None]] = []
        nobody: Any = None
        conversation = Conversation(
            self.rooms.services,
            Dialect.OBJECT_STORE,
            output=self.outbox,
            pacing=nobody,
        )
        context: Any = SimpleNamespace(
            tick=self.rooms.tick,
            telemetry=self.rooms.telemetry,
            settings=SimpleNamespace(rate_per_second=rate_per_second),
            loop=SimpleNamespace(time=lambda: self.now_seconds, call_later=self.call_later),
            refusals=SimpleNamespace(tell_rate=lambda *told: self.told.append(told)),
        )
        self.receiver = MessageReceiver(context, conversation, self)

    address = "10.0.0.1"

    def fail(self, code: int, _reason: str) -> None:
        self.failures.append(code)

    def hold_input(self) -> None:
        raise AssertionError("nothing waits for a log")

    release_input = hold_input

    def call_later(self, _seconds: float, action: Callable[..., None], *arguments: object) -> None:
        self.later.append(lambda: action(*arguments))

    def schedule_flush(self, _outbox: Outbox) -> None:
        if self.is_broken:
            raise self.fault

    @property
    def replies(self) -> list[bytes]:
        return [piece for piece in self.outbox._pieces or () if isinstance(piece, bytes)]


@pytest.mark.parametrize("key", [b"k", "ünïcödé".encode()])
def test_a_text_message_is_answered_and_counted(key: bytes) -> None:
    desk = Desk()
    for _ in range(2):  # the second one from the cache
        desk.receiver.take_text(GET % key)
    assert len(desk.replies) == 2
    assert all(key in reply for reply in desk.replies)
    assert desk.rooms.telemetry.messages == 2
    assert desk.failures == []


def test_a_binary_message_of_invalid_utf_8_is_answered() -> None:
    desk = Desk()
    desk.receiver.take_binary(b"\xff")
    assert len(desk.replies) == 1
    assert desk.rooms.telemetry.messages == 1
    assert desk.failures == []


def test_invalid_utf_8_in_a_text_message_closes_with_1007() -> None:
    desk = Desk()
    desk.receiver.take_text(b"\xff")
    assert desk.failures == [1007]
    assert desk.replies == []


@pytest.mark.parametrize("fault", [RuntimeError(), SystemExit()], ids=["bug", "module gone"])
@pytest.mark.parametrize("kind", ["take_text", "take_binary"])
def test_an_internal_error_closes_with_1011_and_is_logged(
    kind: str, fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    desk.is_broken = True
    desk.fault = fault
    getattr(desk.receiver, kind)(GET % b"k")
    assert desk.failures == [1011]
    assert "a message could not be answered" in caplog.text


def test_messages_over_the_rate_are_refused_until_the_next_second() -> None:
    desk = Desk(rate_per_second=2)
    for _ in range(4):
        desk.receiver.take_text(GET % b"k")
    assert [b"Rate limit" in reply for reply in desk.replies] == [False, False, True, True]
    assert desk.told == [("10.0.0.1", 2)], "once a second"
    desk.now_seconds = 1.0
    desk.receiver.take_text(GET % b"k")
    assert b"Rate limit" not in desk.replies[-1]


def test_a_dropped_receiver_sends_no_reply_and_is_freed() -> None:
    desk = Desk()
    number = id(desk.receiver)
    desk.receiver.take_text(GET % b"k")
    desk.rooms.tick.end()
    gc.disable()
    try:
        desk.receiver.drop()
        desk.receiver.take_text(GET % b"l")
        desk.receiver.take_text(b"\xff")
        assert len(desk.replies) == 1
        assert desk.failures == []
        del desk.receiver
        assert number not in map(id, gc.get_objects())
    finally:
        gc.enable()


def watch_from(revision: int) -> bytes:
    since = f'{{"epoch":"test","rev":{revision}}}'
    return f'{{"action":"watch","key":"k","since":{since}}}'.encode()


def test_a_watch_ahead_of_the_server_waits_until_its_position_is_reached() -> None:
    desk = Desk()
    desk.receiver.take_text(watch_from(1))
    for _ in range(3):
        assert len(desk.later) == 1
        desk.now_seconds += 0.1
        desk.later.pop()()
    assert desk.replies == []
    desk.receiver.take_text(b'{"action":"set","key":"k","value":1}')
    desk.later.pop()()
    assert desk.later == []
    assert b'"rev":1,"changes":[]' in desk.replies[-1]
    assert desk.failures == []


def test_a_watch_that_stays_ahead_of_the_server_closes_with_1013() -> None:
    desk = Desk()
    desk.receiver.take_text(watch_from(1))
    while desk.now_seconds < 1.95:
        desk.now_seconds += 0.1
        assert desk.failures == []
        desk.later.pop()()
    assert desk.failures == [1013]
    assert desk.replies == []
    assert desk.later == []


@pytest.mark.parametrize(
    ("message", "reply_count"),
    [
        (b'{"action":"unwatch","key":"k"}', 0),
        (b'{"action":"watch","key":"k"}', 1),
        (watch_from(0), 1),
    ],
)
def test_a_watch_that_waits_is_ended_by_unwatch_or_a_newer_one(
    message: bytes, reply_count: int
) -> None:
    desk = Desk()
    desk.receiver.take_text(watch_from(1))
    desk.receiver.take_text(message)
    desk.later.pop()()
    desk.receiver.take_text(b'{"action":"set","key":"k","value":1}')
    assert desk.later == []
    assert len(desk.replies) == reply_count
    assert desk.failures == []


def test_only_the_newest_watch_of_a_selector_waits() -> None:
    desk = Desk()
    for revision in (5, 1):
        desk.receiver.take_text(watch_from(revision))
    desk.receiver.take_text(b'{"action":"unwatch","key":"another"}')
    desk.receiver.take_text(b'{"action":"set","key":"k","value":1}')
    for later in desk.later:
        later()
    assert len(desk.replies) == 1
    assert b'"rev":1,"changes":[]' in desk.replies[0]
    assert desk.failures == []


def test_a_connection_has_a_limited_number_of_waiting_watches() -> None:
    desk = Desk()
    for number in range(AHEAD_MESSAGES_MAX):
        desk.receiver.take_text(watch_from(1 + number))
    assert desk.failures == []
    desk.receiver.take_text(watch_from(1000))
    assert desk.failures == [1013]
