"""What a condition that did not hold means, when it may be that the proposal was stored."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.settling import Settled, Settling
from dunena.persistence.jetstream.wire import LinkFault, Message

KEY = "$KV.show.=.a"
MARKER = "$KV.show.=node-n1"
PLACE = 5  # of the marker that was delivered


class Log:
    """What the settling needs; everything up to ``position`` was delivered."""

    position = 9

    def __init__(self) -> None:
        self.losses: list[str] = []

    def catch_up(self, then: Callable[[], None]) -> None:
        then()

    def lose(self, what: str) -> None:
        self.losses.append(what)


class Conflict:
    """A proposal about a key at place 3, of which a change at 7 was delivered meanwhile."""

    def __init__(self, *, may_be_stored: bool) -> None:
        self.log = Log()
        self.asked: list[str] = []
        self.ends: list[Settled] = []
        self._answer: Callable[[Message | LinkFault], None] = lambda _: None
        names = SubjectNames("show")
        places = Places(names)
        places.put(KEY, 7)
        link: Any = SimpleNamespace(request=self._request)
        requests: Any = SimpleNamespace(last_message=lambda subject: Message(subject, {}, b""))
        current: Any = SimpleNamespace(
            draft=SimpleNamespace(conditions={KEY: 3}), expected={KEY: 3},
            may_be_stored=may_be_stored, is_given_up=False,
        )  # fmt: skip
        settling = Settling(link, requests, places, MARKER, self.log)
        settling.begin(current, PLACE, self.ends.append, asks=True)

    def _request(
        self, message: Message, _timeout_s: float, answer: Callable[[Message | LinkFault], None]
    ) -> None:
        self.asked.append(message.subject)
        self._answer = answer

    def find_marker(self, sequence: int) -> None:
        """Let the leader say where the newest marker is; 0 for nowhere."""
        found: dict[str, Any] = {"message": {"seq": sequence}}
        if not sequence:
            found = {"error": {"code": 404, "err_code": 10037, "description": "no message found"}}
        self._answer(Message("", {}, json.dumps(found).encode()))

    def stay_silent(self) -> None:
        """Let the leader not answer."""
        self._answer(LinkFault.TIMEOUT)


def test_a_conflict_of_what_cannot_be_stored_is_told_at_once() -> None:
    conflict = Conflict(may_be_stored=False)
    assert (conflict.ends, conflict.asked) == ([Settled.CHANGED], [])


def test_a_conflict_of_what_may_be_stored_is_told_when_its_marker_is_where_it_was() -> None:
    conflict = Conflict(may_be_stored=True)
    assert (conflict.ends, conflict.asked) == ([], [MARKER])
    conflict.find_marker(PLACE)
    assert (conflict.ends, conflict.log.losses) == ([Settled.CHANGED], [])


def test_what_is_stored_where_something_else_was_delivered_is_no_conflict_but_a_loss() -> None:
    conflict = Conflict(may_be_stored=True)
    conflict.find_marker(8)
    assert conflict.ends == [Settled.AGAIN]
    assert conflict.log.losses == ["has another marker of this node than was delivered"]


@pytest.mark.parametrize(("found", "settled"), [(12, Settled.AGAIN), (0, Settled.UNMARKED)])
def test_a_marker_on_its_way_or_gone_is_no_conflict(found: int, settled: Settled) -> None:
    conflict = Conflict(may_be_stored=True)
    conflict.find_marker(found)
    assert (conflict.ends, conflict.log.losses) == ([settled], [])


def test_without_an_answer_no_conflict_is_told() -> None:
    conflict = Conflict(may_be_stored=True)
    conflict.stay_silent()
    assert (conflict.ends, conflict.log.losses) == ([Settled.AGAIN], [])
