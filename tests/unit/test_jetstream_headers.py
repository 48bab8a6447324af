"""Times as JetStream writes them."""

import pytest

from dunena.persistence.jetstream.headers import milliseconds_of

SECOND_MS = 1_796_025_600_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-30T08:00:00Z", 0),
        ("2026-11-30T08:00:00.5Z", 500),
        ("2026-11-30T08:00:00.12Z", 120),
        ("2026-11-30T08:00:00.123Z", 123),
        ("2026-11-30T08:00:00.123999999Z", 123),
        ("2026-11-30T08:00:00.00000001Z", 0),
        ("2026-11-30T08:00:01.1Z", 1100),
        ("2026-11-30T07:59:59.999Z", -1),
    ],
)
def test_a_time_is_read_with_any_number_of_decimals(text: str, ms: int) -> None:
    assert milliseconds_of(text) == SECOND_MS + ms


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-30T08:00:00.xZ"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what it says is not for people
        milliseconds_of(text)
