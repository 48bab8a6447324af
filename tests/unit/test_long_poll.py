"""A held request: what answers it, in which tick."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from dunena.dialects.following import read_following
from dunena.dialects.grants import EVERYTHING
from dunena.dialects.views import Views
from dunena.server.http.long_poll import LongPoll
from dunena.server.http.message import Request, Response
from dunena.server.outbox import Outbox
from dunena.store.errors import WriteRefusedError
from tests.support.rooms import FlakyEngine, HoldingEngine, Rooms, Wire


class StubLoop:
    """A loop whose timers are called by hand."""

    def __init__(self) -> None:
        self.timers: list[Any] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> "StubTimer":
        self.timers.append(StubTimer(seconds, call))
        return self.timers[-1]


class StubTimer:
    """A timer."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self.seconds = seconds
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Poller:
    """A server's rooms with one held request of the key ``k``."""

    def __init__(self, engine: FlakyEngine | None = None, since: int | None = 0) -> None:
        self.rooms = Rooms(engine=engine)
        self.loop = StubLoop()
        self.wire = Wire()
        self.outbox = Outbox(
            self.wire, self.rooms.tick.schedule_flush, lambda: None, self.rooms.telemetry
        )
        self.wire.outbox = self.outbox
        self.answers = 0
        context: Any = type("Stub", (), {})()
        context.loop, context.tick = self.loop, self.rooms.tick
        context.telemetry, context.views = self.rooms.telemetry, Views(self.rooms.services)
        context.date = lambda: "now"
        self.poll = LongPoll(
            context,
            Request(grant=EVERYTHING),
            Response(200, headers={"X-From": "routes"}),
            read_following({"key": ["k"], "wait": ["30"]}, None),
            self.outbox,
            self._answered,
        )
        self.poll.start(since)

    def _answered(self) -> None:
        self.answers += 1

    def set(self, value: bytes, key: str = "k") -> None:
        self.rooms.tick.run(self._set, (key, value))

    def _set(self, what: tuple[str, bytes], _now: int) -> None:
        with suppress(WriteRefusedError):
            self.rooms.store.set("", *what)

    def answer(self) -> bytes:
        """End the tick; what was sent since the last call."""
        self.rooms.tick.end()
        data = b"".join(self.wire.writes)
        self.wire.writes.clear()
        return data

    @property
    def followers(self) -> int:
        return self.rooms.services.hub.subscription_count


def test_a_poll_waits_for_a_change_of_its_key() -> None:
    poller = Poller()
    assert poller.answer() == b""
    poller.set(b"1", key="another")
    assert poller.answer() == b""
    assert (poller.answers, poller.followers) == (0, 1)
    poller.set(b"1")
    answer = poller.answer()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"X-From: routes\r\n" in answer
    assert b'"changes":[{"key":"k","rev":2,"value":1}]}' in answer
    assert (poller.answers, poller.followers) == (1, 0)
    assert poller.loop.timers[0].is_cancelled
    poller.set(b"2")
    assert poller.answer() == b""


def test_a_poll_without_a_position_is_answered_at_once() -> None:
    poller = Poller(since=None)
    assert b'"reset":true,"changes":[]}' in poller.answer()
    assert poller.answers == 1


def test_a_poll_is_204_when_its_time_is_over() -> None:
    poller = Poller()
    (timer,) = poller.loop.timers
    assert timer.seconds == 30
    poller.set(b"1", key="another")
    timer.call()
    answer = poller.answer()
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b'ETag: "test-1"\r\n' in answer
    assert (poller.answers, poller.followers) == (1, 0)


def test_a_change_in_the_tick_of_the_end_is_told() -> None:
    for is_change_first in (True, False):
        poller = Poller()
        if is_change_first:
            poller.set(b"1")
            poller.loop.timers[0].call()
        else:
            poller.loop.timers[0].call()
            poller.set(b"1")
        status = b"200" if is_change_first else b"204"
        assert poller.answer().startswith(b"HTTP/1.1 " + status)
        assert poller.answers == 1


def test_a_position_told_to_all_answers_no_poll() -> None:
    poller = Poller()
    poller.answer()
    poller.rooms.tick.run(
        lambda _m, now: poller.rooms.services.watches.tell_quiet(now + 10**6), None
    )
    assert poller.answer() == b""
    assert poller.answers == 0


@pytest.mark.parametrize("ends_meanwhile", [True, False])
def test_a_refused_change_answers_no_poll(*, ends_meanwhile: bool) -> None:
    engine = FlakyEngine()
    poller = Poller(engine)
    poller.answer()
    engine.reason = "full"
    poller.set(b"1")
    if ends_meanwhile:
        poller.loop.timers[0].call()
    answer = poller.answer()
    engine.reason = None
    if ends_meanwhile:
        assert answer.startswith(b"HTTP/1.1 204 ")
        assert b'ETag: "test-0"' in answer
    else:
        assert answer == b""
        poller.set(b"2")
        assert b'"rev":1,"value":2}' in poller.answer()
    assert poller.answers == 1


def test_a_poll_that_begins_on_a_refused_change_waits_on() -> None:
    engine = FlakyEngine()
    poller = Poller(engine)
    poller.answer()
    engine.reason = "full"
    poller.set(b"1")
    poller.rooms.tick.run(poller.poll._look, None)
    assert poller.answer() == b""
    assert poller.answers == 0


@pytest.mark.parametrize("reason", [None, "full"])
def test_a_poll_whose_time_ends_while_a_change_is_held_is_told_of_that(
    reason: str | None,
) -> None:
    engine = HoldingEngine()
    poller = Poller(engine)
    poller.answer()
    poller.set(b"1")
    assert poller.answer() == b"", "the device is not done"
    poller.loop.timers[0].call()
    assert poller.answer() == b""
    engine.release(reason)
    answer = poller.answer()
    if reason is None:
        assert b'"value":1' in answer
    else:
        assert answer.startswith(b"HTTP/1.1 204 ")
    assert (poller.answers, poller.followers) == (1, 0)


def test_a_cancelled_poll_leaves_nothing_behind() -> None:
    poller = Poller()
    poller.answer()
    poller.set(b"1")
    poller.poll.cancel()
    assert poller.answer() == b""
    assert (poller.answers, poller.followers) == (0, 0)
    assert poller.rooms.services.watches.feed_count == 0
