"""When what is done once a second is done next."""

import pytest

from dunena.server.seconds import seconds_to_next


@pytest.mark.parametrize(
    ("now", "then"),
    [(0.0, 1), (7.0, 8), (7.25, 8), (7.5, 8), (7.75, 9), (7.999, 9), (8.001, 9)],
)
def test_timers_come_due_at_whole_seconds_and_not_twice_for_one(now: float, then: float) -> None:
    assert now + seconds_to_next(now) == pytest.approx(then)
