"""What is logged of a store that is shared with other servers."""

import logging

import pytest

from dunena.persistence.log import LogState, LogStatus
from dunena.server.status.store_notices import StoreNotices
from tests.support.stub_log import StubLog


@pytest.fixture
def log() -> StubLog:
    return StubLog()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "dunena")
    return caplog


def test_a_server_that_waits_for_its_store_says_so_every_five_seconds(
    log: StubLog, lines: pytest.LogCaptureFixture
) -> None:
    log.status = LogStatus(LogState.STARTING, reason="no servers available")
    notices = StoreNotices(log, 100.0)
    for second in range(1, 17):
        notices.look(100.0 + second)
    assert lines.messages == ["waiting for the store: no servers available"] * 3


def test_a_store_that_does_not_answer_is_told_at_once_and_then_each_minute(
    log: StubLog, lines: pytest.LogCaptureFixture
) -> None:
    notices = StoreNotices(log, 0.0)
    for second in range(1, 130):
        stale_ms = second * 1000
        state = LogState.STALE
        log.status = LogStatus(state, stale_ms=stale_ms, reason="no leader")
        notices.look(float(second))
    ending = "; reads go on, writes are refused"
    assert lines.messages == [
        f"the store has not answered for {seconds} s: no leader{ending}" for seconds in (3, 63, 123)
    ]
    lines.clear()
    log.status = LogStatus(LogState.READY)
    notices.look(130.0)
    notices.look(131.0)
    assert lines.messages == ["the store answers again, after 130 s"]


def test_a_short_silence_of_the_store_is_not_told(
    log: StubLog, lines: pytest.LogCaptureFixture
) -> None:
    notices = StoreNotices(log, 0.0)
    log.status = LogStatus(LogState.STALE, stale_ms=2_000)
    notices.look(70.0)
    log.status = LogStatus(LogState.READY)
    notices.look(71.0)
    assert lines.messages == []


def test_the_servers_that_share_a_store_are_told_when_they_change(
    log: StubLog, lines: pytest.LogCaptureFixture
) -> None:
    notices = StoreNotices(log, 0.0)
    for second, nodes in enumerate([("a1",), ("a1",), ("a1", "b2"), ("b2",)], 1):
        log.status = LogStatus(LogState.READY, nodes=nodes)
        notices.look(float(second))
    assert lines.messages == [
        "the store is shared by a1",
        "the store is shared by a1, b2",
        "the store is shared by b2",
    ]


def test_a_store_that_stores_nothing_is_told_at_once_and_then_each_minute(
    log: StubLog, lines: pytest.LogCaptureFixture
) -> None:
    notices = StoreNotices(log, 0.0)
    for second in range(1, 130):
        is_small = second % 10 == 9  # what is small finds room now and then
        log.status = LogStatus(LogState.READY, refusal=None if is_small else "full")
        notices.look(float(second))
    refused, again = "changes are refused, nothing is stored: full", "changes are stored again"
    assert lines.messages == [refused, again] * 3


def test_what_endangers_a_store_is_told_when_it_is_another(
    log: StubLog, lines: pytest.LogCaptureFixture
) -> None:
    notices = StoreNotices(log, 0.0)
    for second, warning in enumerate([None, "one", "one", "two", None, None], 1):
        log.status = LogStatus(LogState.READY, warning=warning)
        notices.look(float(second))
    assert lines.messages == [
        "the store is not as it should be: one",
        "the store is not as it should be: two",
        "the store is as it should be again",
    ]
