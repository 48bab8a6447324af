"""What the client knows of the server's clock."""

import pytest

from dunena.client.server_clock import SAMPLES_MAX, ServerClock

BEGAN = 1_710_000_000_000


def test_the_time_is_unknown_until_the_first_pong() -> None:
    clock = ServerClock()
    assert clock.time(5.0) is None
    clock.note(BEGAN, 1.0, 1.0)
    assert clock.time(3.5) == BEGAN + 2500


def test_the_ping_with_the_shortest_round_trip_counts() -> None:
    clock = ServerClock()
    clock.note(BEGAN + 900, 0.0, 1.0)  # the way there took longer than the one back
    assert clock.time(1.0) == BEGAN + 1400
    clock.note(BEGAN + 1005, 1.0, 1.01)
    assert clock.time(1.01) == pytest.approx(BEGAN + 1010)
    for number in range(SAMPLES_MAX - 1):
        clock.note(BEGAN + 2100 + number, 1.5, 2.5)
        assert clock.time(1.01) == pytest.approx(BEGAN + 1010)
    clock.note(BEGAN + 2100, 1.5, 2.5)  # the good one is too old now
    assert clock.time(2.5) == pytest.approx(BEGAN + 2600)


@pytest.mark.parametrize("step", [-3_600_000, 3_600_000])
def test_a_clock_that_is_set_is_noticed_at_the_next_pong(step: int) -> None:
    clock = ServerClock()
    clock.note(BEGAN, 0.0, 0.0)
    clock.note(BEGAN + 1000 + step, 0.5, 1.5)
    assert clock.time(1.5) == BEGAN + 1500 + step


def test_a_new_connection_begins_anew_and_keeps_the_time_until_its_first_pong() -> None:
    clock = ServerClock()
    clock.note(BEGAN, 0.0, 0.0)
    clock.begin()
    assert clock.time(1.0) == BEGAN + 1000
    clock.note(BEGAN + 1000, 0.9, 1.1)
    assert clock.time(1.0) == pytest.approx(BEGAN + 1000)
