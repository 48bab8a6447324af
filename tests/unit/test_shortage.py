"""Refused connections: when they are logged, and how long they are reported."""

import pytest

from dunena.server.shortage import PERIOD_SECONDS, Shortage


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 7.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shortage(clock: Clock) -> Shortage:
    return Shortage(clock)


def test_a_refusal_is_logged_once_a_minute(shortage: Shortage, clock: Clock, caplog) -> None:
    for _ in range(100):
        shortage.tell("no room", "make some")
    assert caplog.messages == ["no room; make some"]
    assert caplog.records[0].levelname == "WARNING"
    clock.now += PERIOD_SECONDS - 0.1
    shortage.tell("no room", "make some")
    assert len(caplog.messages) == 1
    clock.now += 0.1
    shortage.tell("no room", "make some")
    assert len(caplog.messages) == 2


def test_another_reason_is_logged_at_once(shortage: Shortage, caplog) -> None:
    shortage.tell("no room", "make some")
    shortage.tell("no files", "close some")
    assert caplog.messages == ["no room; make some", "no files; close some"]


def test_the_reason_is_known_for_a_minute_after_the_last_refusal(
    shortage: Shortage, clock: Clock
) -> None:
    assert shortage.reason is None
    shortage.tell("no room", "")
    clock.now += PERIOD_SECONDS - 0.1
    assert shortage.reason == "no room"
    shortage.tell("no room", "")
    clock.now += PERIOD_SECONDS - 0.1
    assert shortage.reason == "no room"
    clock.now += 0.1
    assert shortage.reason is None
