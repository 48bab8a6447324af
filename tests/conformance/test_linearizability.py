"""The checker of histories accepts what a right store can answer, and refuses what it cannot."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.linearizability import Answer, Operation, State, explain_contradiction


def op(name: str, called: float, returned: float, argument: Any = None, **answer: Any) -> Operation:
    """An operation with an answer."""
    if_rev = answer.pop("if_rev", None)
    return Operation(name, called, returned, argument, if_rev, Answer(**answer))


def read(called: float, returned: float, value: Any, **answer: Any) -> Operation:
    return op("get", called, returned, value=value, **answer)


def unknown(name: str, called: float, argument: Any = None, if_rev: int | None = None) -> Operation:
    return Operation(name, called, math.inf, argument, if_rev)


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([], id="nothing"),
        pytest.param([read(0, 1, None), op("set", 2, 3, 1), read(4, 5, 1)], id="in turn"),
        pytest.param(
            [op("set", 0, 9, 1), read(1, 2, 1), read(3, 4, 1)], id="seen before it was answered"
        ),
        pytest.param(
            [op("set", 0, 9, 1), op("set", 0, 9, 2), read(1, 2, 2), read(3, 4, 1)],
            id="two at a time, in either order",
        ),
        pytest.param(
            [unknown("set", 0, 1), read(1, 2, None), op("set", 3, 4, 2), read(5, 6, 1)],
            id="an unknown one later than others",
        ),
        pytest.param([unknown("incr", 0, 1), read(1, 2, None)], id="an unknown one never"),
        pytest.param(
            [unknown("incr", 0, 1), unknown("incr", 0, 1), read(5, 6, 1), read(7, 8, 2)],
            id="unknown ones one by one",
        ),
        pytest.param(
            [op("incr", 0, 5, 1, value=2), op("incr", 0, 5, 1, value=1)], id="two increments"
        ),
        pytest.param(
            [op("set", 0, 1, "9"), op("incr", 2, 3, 1, value="10"), read(4, 5, "10")],
            id="a number as text",
        ),
        pytest.param(
            [op("set", 0, 1, {"a": 1}), op("incr", 2, 3, 1, refused="wrong_type")],
            id="an object is no number",
        ),
        pytest.param(
            [
                op("set", 0, 1, {"a": 1}),
                op("merge", 2, 3, {"b": 2, "a": None}),
                read(4, 5, {"b": 2}),
            ],
            id="merged",
        ),
        pytest.param(
            [
                op("set", 0, 1, 1, if_rev=0, rev=4),
                op("set", 2, 3, 2, if_rev=0, refused="conflict", rev=4),
                op("set", 4, 5, 3, if_rev=4, rev=7),
                op("delete", 6, 7, deleted=True, rev=9),
                op("delete", 8, 9, deleted=False, rev=0),
                read(8, 9, None, rev=0),
            ],
            id="conditions",
        ),
        pytest.param(
            [op("set", 0, 1, 1), op("set", 2, 3, 2, if_rev=6), read(4, 5, 2, rev=8)],
            id="a revision that was not said",
        ),
    ],
)
def test_a_history_with_an_order_is_accepted(history: list[Operation]) -> None:
    assert explain_contradiction(history) is None


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(
            [op("set", 0, 1, 1), op("set", 2, 3, 2), read(4, 5, 1)],
            id="a stale read",
        ),
        pytest.param(
            [op("set", 0, 1, 1), op("set", 2, 9, 2), read(3, 4, 2), read(5, 6, 1)],
            id="an older value after a newer one",
        ),
        pytest.param([op("incr", 0, 5, 1), op("incr", 0, 5, 1), read(6, 7, 1)], id="a lost update"),
        pytest.param(
            [op("incr", 0, 5, 1, value=1), op("incr", 0, 5, 1, value=1)],
            id="a lost update that was answered",
        ),
        pytest.param([op("incr", 0, 1, 1), read(2, 3, 2)], id="a double increment"),
        pytest.param(
            [unknown("incr", 0, 1), read(1, 2, 2)], id="a double increment nobody had answered"
        ),
        pytest.param(
            [unknown("set", 5, 1), read(1, 2, 1)], id="a value that was read before it was sent"
        ),
        pytest.param([read(0, 1, 7)], id="a value that nobody set"),
        pytest.param([op("set", 0, 1, 1), read(2, 3, None)], id="a write that was not kept"),
        pytest.param(
            [op("set", 0, 1, 1, if_rev=3, refused="conflict", rev=2), read(2, 3, 1)],
            id="a refused write that was carried out",
        ),
        pytest.param(
            [
                op("set", 0, 1, 1, rev=1),
                op("set", 2, 9, 2, if_rev=1, rev=2),
                op("set", 2, 9, 3, if_rev=1, rev=3),
            ],
            id="two writes on one condition",
        ),
        pytest.param(
            [op("set", 0, 1, 1), op("set", 2, 3, 2, if_rev=5, refused="conflict", rev=5)],
            id="a conflict without a reason",
        ),
        pytest.param(
            [op("set", 0, 1, 1, rev=5), op("set", 2, 3, 2, rev=4)], id="a revision that goes back"
        ),
        pytest.param(
            [op("set", 0, 1, 1, rev=5), read(2, 3, 1, rev=6)], id="a revision of another value"
        ),
        pytest.param(
            [
                op("set", 0, 1, 1),
                op("delete", 2, 3, deleted=True),
                op("delete", 4, 5, deleted=True),
            ],
            id="deleted twice",
        ),
        pytest.param(
            [op("merge", 0, 5, {"a": 1}), op("merge", 0, 5, {"b": 1}), read(6, 7, {"b": 1})],
            id="a merge that was lost",
        ),
        pytest.param(
            [op("set", 0, 1, 5), op("incr", 2, 3, 1, refused="wrong_type")],
            id="a number that was refused",
        ),
        pytest.param(
            [op("set", 0, 1, 5, refused="storage"), read(2, 3, 5)],
            id="a value that the disk had refused",
        ),
    ],
)
def test_a_history_without_an_order_is_refused(history: list[Operation]) -> None:
    explained = explain_contradiction(history)
    assert explained is not None
    assert any(str(operation) in explained for operation in history)


def test_what_stood_before_counts() -> None:
    assert explain_contradiction([read(0, 1, 5, rev=3)], State("5", 3, True)) is None
    assert explain_contradiction([read(0, 1, 5, rev=3)], State("5", 2, True)) is not None


# --- stores that were made up, right ones and wrong ones ---


class Store:
    """One key; each operation happens at one moment."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.value: Any = None
        self.older: Any = None
        self.rev = 0

    def do(self, name: str, argument: Any, if_rev: int | None) -> Answer:
        """Carry out an operation."""
        at = 0 if self.value is None else self.rev
        if name == "get":
            return Answer(value=self.value, rev=at)
        if if_rev is not None and if_rev != at:
            return Answer(refused="conflict", rev=at)
        if name == "delete":
            if self.value is None:
                return Answer(deleted=False, rev=0)
            self.put(None)
            return Answer(deleted=True, rev=self.rev)
        self.put(argument if name == "set" else (self.value or 0) + argument)
        return Answer(value=self.value, rev=self.rev)

    def put(self, value: Any) -> None:
        self.older, self.value = self.value, value
        self.rev += self.chance.randint(1, 3)


class StaleReads(Store):
    """Sometimes what was there before the last write is read."""

    def do(self, name: str, argument: Any, if_rev: int | None) -> Answer:
        if name == "get" and self.chance.random() < 0.1:
            return Answer(value=self.older)
        return super().do(name, argument, if_rev)


class LostUpdates(Store):
    """Sometimes an increment goes by what was there before the last write."""

    def do(self, name: str, argument: Any, if_rev: int | None) -> Answer:
        if name == "incr" and self.chance.random() < 0.1:
            self.value = self.older
        return super().do(name, argument, if_rev)


class DoubleIncrements(Store):
    """Sometimes an increment is carried out once more."""

    def do(self, name: str, argument: Any, if_rev: int | None) -> Answer:
        answer = super().do(name, argument, if_rev)
        if name == "incr" and self.chance.random() < 0.1:
            super().do(name, argument, None)
        return answer


class Unconditional(Store):
    """Sometimes a condition is not looked at."""

    def do(self, name: str, argument: Any, if_rev: int | None) -> Answer:
        return super().do(name, argument, None if self.chance.random() < 0.1 else if_rev)


class DoneThoughRefused(Store):
    """Sometimes what was refused is done all the same."""

    def do(self, name: str, argument: Any, if_rev: int | None) -> Answer:
        answer = super().do(name, argument, if_rev)
        if answer.refused and self.chance.random() < 0.3:
            super().do(name, argument, None)
        return answer


def make_up_history(
    make_store: Callable[[random.Random], Store], seed: int, *, says_revisions: bool
) -> list[Operation]:
    """What eight clients see of a store, each with one request after the other."""
    chance = random.Random(seed)
    store = make_store(chance)
    planned = []
    for client in range(8):
        now = 0.0
        for _ in range(12):
            called = now + chance.expovariate(1)
            at = called + chance.expovariate(1)
            now = at + chance.expovariate(1)
            planned.append((at, called, now, f"client {client}"))
    history = []
    for number, (at, called, returned, client) in enumerate(sorted(planned)):
        name = chance.choice(("get", "get", "set", "incr", "incr", "delete"))
        argument = {"set": number * 1000, "incr": 1}.get(name)
        is_conditional = name != "get" and chance.random() < 0.3
        if_rev = chance.choice((0, store.rev, store.rev + 1)) if is_conditional else None
        if chance.random() < 0.05:  # nobody hears of it
            if chance.random() < 0.5:
                store.do(name, argument, if_rev)
            history.append(Operation(name, called, math.inf, argument, if_rev, None, client))
            continue
        answer = store.do(name, argument, if_rev)
        assert called <= at <= returned
        if not says_revisions:
            value = answer.value if name == "get" else Answer().value
            answer = Answer(value, None, answer.deleted, answer.refused)
        history.append(Operation(name, called, returned, argument, if_rev, answer, client))
    chance.shuffle(history)
    return history


@pytest.mark.parametrize("says_revisions", [True, False])
def test_what_a_right_store_answers_is_accepted(says_revisions: bool) -> None:
    for seed in range(40):
        history = make_up_history(Store, seed, says_revisions=says_revisions)
        assert explain_contradiction(history) is None, f"seed {seed}"


@pytest.mark.parametrize("says_revisions", [True, False])
@pytest.mark.parametrize(
    "wrong_store", [StaleReads, LostUpdates, DoubleIncrements, Unconditional, DoneThoughRefused]
)
def test_what_a_wrong_store_answers_is_refused(
    wrong_store: type[Store], says_revisions: bool
) -> None:
    histories = [
        make_up_history(wrong_store, seed, says_revisions=says_revisions) for seed in range(20)
    ]
    assert any(explain_contradiction(history) is not None for history in histories)
