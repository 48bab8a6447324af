"""Reading the query of `GET /watch`."""

import pytest

from dunena.dialects.errors import ClientError
from dunena.dialects.following import WatchQuery, read_following
from dunena.dialects.http_updates import EventUpdates, JsonUpdates, ValueEvents
from dunena.server.http.message import Request
from dunena.watches.selector import Selector


def read(query: str, last_event_id: str | None = None) -> WatchQuery:
    return read_following(Request(target=f"/watch?{query}").query_lists(), last_event_id)


@pytest.mark.parametrize(
    ("query", "selector"),
    [
        ("key=a", Selector("", key="a")),
        ("key=a&key=b", Selector("", key="b")),
        ("key=a,b&ns=show&path=/x", Selector("show", key="a,b", path="/x")),
        ("key=a&ns=&path=", Selector("", key="a")),
        ("keys=a", Selector("", keys=("a",))),
        ("keys=b,a%20c", Selector("", keys=("b", "a c"))),
        ("keys=a,b&keys=c", Selector("", keys=("a,b", "c"))),
        ("pattern=team-*", Selector("", pattern="team-*")),
        ("key=%C3%A4", Selector("", key="ä")),
    ],
)
def test_a_query_selects_what_a_watch_message_does(query: str, selector: Selector) -> None:
    assert read(query).selector == selector


def test_the_form_is_that_of_the_answer() -> None:
    assert read("key=a").make_form is EventUpdates
    assert read("key=a&format=value").make_form is ValueEvents
    assert read("key=a&wait=5").make_form is JsonUpdates


def test_numbers_are_read_within_their_limits() -> None:
    assert read("key=a").interval_ms is read("key=a").wait_seconds is None
    assert read("key=a&maxRate=4").interval_ms == 250
    assert read("key=a&maxRate=0.1").interval_ms == 10_000
    for seconds in (1, 1.5, 60):
        assert read(f"key=a&wait={seconds}").wait_seconds == seconds
    for wrong in (
        "wait=0.99",
        "wait=60.01",
        "wait=x",
        "maxRate=100.1",
        "maxRate=1_0",
        "wait=%D9%A3",
    ):
        with pytest.raises(ClientError):
            read(f"key=a&{wrong}")


def test_the_header_counts_before_the_since_of_the_address() -> None:
    assert read("key=a").since is None
    assert read("key=a&since=e-5").since == {"epoch": "e", "rev": 5}
    assert read("key=a&since=e-5", "").since == {"epoch": "e", "rev": 5}
    assert read("key=a&since=e-5", "f-7").since == {"epoch": "f", "rev": 7}
    assert read("key=a&since=e-5", "strange").since == {"epoch": "", "rev": 0}
