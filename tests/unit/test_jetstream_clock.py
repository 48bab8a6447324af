"""The log's time, estimated from messages."""

from dunena.persistence.jetstream.clock import WINDOW_S, LogClock

START_MS = 1_800_000_000_000


def test_the_time_is_not_known_before_the_first_message() -> None:
    assert LogClock().now(5.0) == 0


def test_the_quickest_delivery_tells_the_time() -> None:
    clock = LogClock()
    clock.take(START_MS, 1.050)  # 50 ms late
    assert clock.now(1.050) == START_MS
    clock.take(START_MS + 200, 1.205)  # 5 ms late
    assert clock.now(1.205) == START_MS + 200
    clock.take(START_MS + 300, 1.400)  # 100 ms late
    assert clock.now(1.400) == START_MS + 395
    assert clock.now(2.400) == START_MS + 1395


def test_the_time_is_never_before_that_of_a_message_and_never_goes_back() -> None:
    clock = LogClock()
    clock.take(START_MS + 1000, 1.0)
    clock.take(START_MS, 1.0)
    assert clock.now(1.0) == START_MS + 1000
    assert clock.now(0.5) == START_MS + 1000
    assert clock.newest == START_MS + 1000


def test_a_slower_clock_of_another_leader_is_followed_after_a_while() -> None:
    clock = LogClock()
    clock.take(START_MS + 500, 0.0)
    for second in range(1, int(2 * WINDOW_S) + 5):
        now = clock.now(float(second))
        clock.take(START_MS + second * 1000, float(second))
        assert clock.now(float(second)) >= now
    assert clock.now(70.0) == START_MS + 70_000
