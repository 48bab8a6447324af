"""Times as JetStream writes them."""

import pytest

from dunena.persistence.jetstream.headers import end_of, milliseconds_of
from dunena.store.limits import EXPIRES_AT_MS_MAX

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


def ends_at(headers: dict[str, str], *, is_ours: bool = False) -> int | None:
    headers = {**headers, "Nats-Time-Stamp": "2026-11-30T08:00:00Z"}
    end = end_of(headers, is_ours=is_ours)[2]
    return None if end is None else end - SECOND_MS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2),
        ("+2", 2),
        ("2s", 2),
        ("1h1m1.9s", 3661),
        ("1500ms", 1),
        ("never", None),
        ("Never", None),
        ("00", None),
        ("²", None),
        ("soon", None),
    ],
)
def test_a_key_of_others_ends_when_the_server_frees_it(text: str, seconds: int | None) -> None:
    found = ends_at({"Nats-TTL": text})
    assert found == (None if seconds is None else seconds * 1000)
    assert ends_at({"Nats-TTL": text}, is_ours=True) is None


def test_the_earlier_end_counts_for_what_others_wrote() -> None:
    assert ends_at({"Nats-TTL": "2", "Dunena-TTL": "1500"}) == 1500
    assert ends_at({"Nats-TTL": "2", "Dunena-TTL": "5000"}) == 2000
    assert ends_at({"Nats-TTL": "2", "Dunena-Expires": "5"}) == 5 - SECOND_MS


@pytest.mark.parametrize("name", ["Dunena-TTL", "Dunena-Expires", "Nats-TTL"])
def test_no_end_is_later_than_the_latest(name: str) -> None:
    assert ends_at({name: "9" * 16}) == EXPIRES_AT_MS_MAX - SECOND_MS


@pytest.mark.parametrize(
    "text", ["", "abc", "1.5", "-1", "+1", " 1", "1_0", "²", "9" * 17, "9" * 5000]
)
@pytest.mark.parametrize("name", ["Dunena-TTL", "Dunena-Expires"])
def test_what_is_no_end_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=name):
        ends_at({name: text})
