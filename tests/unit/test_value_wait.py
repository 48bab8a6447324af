"""What a request for a value waits for."""

from typing import Any

import pytest

from dunena.dialects.errors import ClientError
from dunena.dialects.kv_request import KvRequest, MissingKeyError
from dunena.dialects.preconditions import parse_preconditions
from dunena.dialects.value_wait import ValueWait
from dunena.watches.selector import Selector
from tests.support.rooms import Rooms

NOW = 1_700_000_000_000


class Waiting:
    """A request for the key ``k``, of a server's rooms."""

    def __init__(self, rooms: Rooms, if_none_match: str | None = None, **query: str) -> None:
        conditions = parse_preconditions(None, if_none_match)
        self.services = rooms.services
        self.wait = ValueWait(KvRequest("GET", "k", {"wait": "5", **query}, conditions))

    def look(self) -> Any:
        """The status and tag of an answer; None while there is none."""
        answer = self.wait.look(self.services, NOW)
        return None if answer is None else (answer.status, answer.tag)

    def end(self) -> tuple[int, str]:
        answer = self.wait.end(self.services, NOW)
        return answer.status, answer.tag


def rooms_with(value: bytes | None) -> Rooms:
    rooms = Rooms()
    if value is not None:
        store(rooms, value)
    return rooms


def store(rooms: Rooms, value: bytes) -> None:
    rooms.tick.run(lambda _m, _now: rooms.store.set("", "k", value), None)
    rooms.tick.end()


@pytest.mark.parametrize("known", [{"if_none_match": '"test-1"'}, {"rev": "test-1"}])
def test_what_the_client_has_is_no_answer_before_the_end(known: dict[str, str]) -> None:
    waiting = Waiting(rooms_with(b"1"), **known)
    assert waiting.look() is None
    assert waiting.end() == (304, '"test-1"')


@pytest.mark.parametrize(
    "known", [{}, {"rev": "0"}, {"rev": "test-0"}, {"rev": "other-1"}, {"if_none_match": '"x"'}]
)
def test_anything_else_is_answered_at_once(known: dict[str, str]) -> None:
    assert Waiting(rooms_with(b"1"), **known).look() == (200, '"test-1"')


def test_the_header_counts_before_rev() -> None:
    assert Waiting(rooms_with(b"1"), '"test-1"', rev="0").look() is None
    assert Waiting(rooms_with(b"1"), '"old-1"', rev="test-1").look() == (200, '"test-1"')


@pytest.mark.parametrize(("value", "path"), [(None, ""), (b'{"a":1}', "/b")])
def test_nothing_is_awaited_only_if_the_client_knows_of_it(value: bytes | None, path: str) -> None:
    waiting = Waiting(rooms_with(value), rev="0", path=path)
    assert waiting.look() is None
    assert waiting.end() == (304, "")
    for known in ({"rev": "test-1"}, {}):
        if value is None or not known:
            with pytest.raises(ClientError) as refused:
                Waiting(rooms_with(value), path=path, **known).look()
            assert refused.value.status == 404


def test_a_key_that_went_is_news() -> None:
    with pytest.raises(MissingKeyError):
        Waiting(rooms_with(None), '"test-1"').look()


def test_it_is_woken_by_its_place() -> None:
    assert Waiting(rooms_with(None)).wait.selector == Selector("", key="k")
    waiting = Waiting(rooms_with(None), ns="show", path="/a")
    assert waiting.wait.selector == Selector("show", key="k", path="/a")
    assert waiting.wait.wait_seconds == 5


@pytest.mark.parametrize("query", [{"wait": "0"}, {"rev": "5"}, {"rev": '"test-1"'}, {"path": "x"}])
def test_wrong_fields_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(ClientError):
        Waiting(rooms_with(None), **query)


def test_a_change_outside_of_the_path_is_no_news_at_the_end() -> None:
    rooms = rooms_with(b'{"home":1,"guest":1}')
    waiting = Waiting(rooms, '"test-1"', path="/home")
    assert waiting.look() is None
    store(rooms, b'{"home":1,"guest":2}')
    assert waiting.end() == (304, '"test-2"')
    store(rooms, b'{"home":2,"guest":2}')
    assert waiting.end() == (200, '"test-3"')
    assert Waiting(rooms, '"test-1"', path="/home").look() == (200, '"test-3"')
