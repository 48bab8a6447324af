"""The verdict of a soak run."""

from collections.abc import Callable

import pytest

from tests.soak.picture import picture
from tests.soak.verdict import assert_steady

MEBIBYTE = 1024 * 1024
Row = dict[str, float]


def rounds(
    count: int = 60,
    size: Callable[[int], float] = lambda _: 0,
    fds: Callable[[int], float] = lambda _: 0,
    p99: Callable[[int], float] = lambda _: 0,
) -> list[Row]:
    return [
        {
            "bytes": 35 * MEBIBYTE + size(number),
            "fds": 12 + fds(number),
            "p99": 0.004 + p99(number),
            "fresh": number == 0,
        }
        for number in range(count)
    ]


def test_assert_steady_accepts_a_steady_soak() -> None:
    assert_steady(rounds())
    assert_steady(rounds(size=lambda number: 30 * MEBIBYTE * min(number, 10) / 10))
    assert_steady(rounds(p99=lambda number: 0.5 * (number % 7 == 0)))
    assert_steady(rounds(fds=lambda number: 100 * (number % 2)))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (rounds(size=lambda number: number * MEBIBYTE), "memory grew"),
        (rounds(fds=lambda number: number // 3), "files stay open"),
        (rounds(p99=lambda number: 0.1 * (number > 40)), "it became slower"),
        (rounds(count=12), "too short"),
    ],
)
def test_assert_steady_raises_for_an_unsteady_soak(rows: list[Row], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        assert_steady(rows)


def test_picture_draws_a_line_for_each_measurement() -> None:
    drawn = picture(rounds())
    assert drawn.count("<polyline") == 3
    assert drawn.count(",") >= 3 * 60
