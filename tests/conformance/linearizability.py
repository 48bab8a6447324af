"""Whether the answers that clients had can have come of their requests one after the other.

A history of one key is linearizable if there is an order of its operations in which each gives the
answer that was had, and in which none comes before one that had ended when it began (Herlihy and
Wing). A store is linearizable if each of its keys is, so the keys are looked at one by one.

The search is that of Wing and Gong: take any operation that may be the next one, and go back where
nothing fits. As Lowe suggests, what was done so far and the state that it led to are remembered, so
that nothing is tried twice.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

UNSAID: Final[Any] = object()
"""The value of an answer that does not say one."""


@dataclass(frozen=True)
class Answer:
    """What was answered; what an answer does not say is left out.

    Of a key that does not exist the value is None and the revision 0; null is never stored.
    ``refused`` is the code of an error.
    """

    value: Any = UNSAID
    rev: int | None = None
    deleted: bool | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Operation:
    """One request for a key, between two times of one clock.

    Without an answer nobody knows whether it was carried out: it was at any time after ``called``,
    or never was.
    """

    name: str  # get, set, merge, incr or delete
    called: float
    returned: float = math.inf
    argument: Any = None
    if_rev: int | None = None
    answer: Answer | None = None
    client: str = ""

    def __str__(self) -> str:
        condition = "" if self.if_rev is None else f" if at {self.if_rev}"
        return (
            f"{self.client}: {self.name}({self.argument!r}){condition} in"
            f" [{self.called}, {self.returned}] -> {self.answer}"
        )


_parse = lru_cache(maxsize=10_000)(json.loads)


class State(NamedTuple):
    """What a key holds: its value as JSON, None for none, and its revision.

    If that is not known exactly, it is the least that it can be.
    """

    text: str | None = None
    rev: int = 0
    is_exact: bool = False

    @property
    def value(self) -> Any:
        return None if self.text is None else _parse(self.text)

    def at(self, rev: int | None) -> "State | None":
        """The state, if its revision can be the one that was said; None for not said."""
        if rev is None:
            return self
        if self.text is None:
            return self if rev == 0 else None
        if self.is_exact:
            return self if rev == self.rev else None
        return State(self.text, rev, True) if rev >= self.rev else None

    def changed(self, value: Any, rev: int | None) -> "State | None":
        """The next state, if its revision can be the one that was said."""
        text = None if value is None else json.dumps(value, sort_keys=True)
        if rev is None:
            return State(text, self.rev + 1, False)
        return State(text, rev, True) if rev > self.rev else None


NOTHING: Final = State()


def explain_contradiction(history: Iterable[Operation], first: State = NOTHING) -> str | None:
    """Return why a history of one key is not linearizable, or None if it is.

    ``first`` is what the key held before.
    """
    search = _Search(history)
    if search.finds_order(first):
        return None
    order, state, left = search.longest
    return "\n".join(
        [
            f"no order explains these {len(search.operations)} operations. The longest one found:",
            *(f"  {operation}" for operation in order),
            f"leads to {state}, which none of these can follow:",
            *(f"  {operation}" for operation in left),
        ]
    )


class _Search:
    """Bit n of a mask stands for the nth operation; those that had an answer come first."""

    def __init__(self, history: Iterable[Operation]) -> None:
        ordered = sorted(history, key=lambda operation: operation.called)
        answered = [operation for operation in ordered if operation.answer is not None]
        unknown = [operation for operation in ordered if operation.answer is None]
        self.operations = answered + unknown
        self._answered = len(answered)
        self._everything = (1 << self._answered) - 1
        self._reached: dict[tuple[int, State], list[int]] = {}
        self._longest: tuple[int, State] = (0, NOTHING)
        self._before: dict[tuple[int, State], tuple[int, State] | None] = {}

    def finds_order(self, first: State) -> bool:
        """Whether there is an order of all that had an answer, with any of the others."""
        start = (0, first)
        self._longest, self._before = start, {start: None}
        waiting = [start]
        while waiting:
            done, state = here = waiting.pop()
            if done & self._everything == self._everything:
                return True
            if done.bit_count() > self._longest[0].bit_count():
                self._longest = here
            for number, after in self._steps(done, state):
                there = (done | 1 << number, after)
                if self._is_news(*there):
                    self._before[there] = here
                    waiting.append(there)
        return False

    def _is_news(self, done: int, state: State) -> bool:
        """Whether this was not reached already, with the same of those without an answer or fewer.

        Those may be done at any later time as well, so fewer of them leave more that is possible.
        """
        unknown = done >> self._answered
        reached = self._reached.setdefault((done & self._everything, state), [])
        if any(unknown & fewer == fewer for fewer in reached):
            return False
        reached.append(unknown)
        return True

    @property
    def longest(self) -> tuple[list[Operation], State, list[Operation]]:
        """The longest order found, its state, and what might have come next."""
        order = []
        here = self._longest
        while (before := self._before[here]) is not None:
            order.append(self.operations[(here[0] ^ before[0]).bit_length() - 1])
            here = before
        left = [self.operations[number] for number in self._next_ones(self._longest[0])]
        return order[::-1], self._longest[1], left

    def _steps(self, done: int, state: State) -> list[tuple[int, State]]:
        """What may be done next, with the states that it leads to.

        What changes nothing leaves everything else as possible as it was: if it has an answer, no
        other step need be tried, and if it has none, it may as well never have happened.
        """
        steps = []
        for number in self._next_ones(done):
            after = carry_out(state, self.operations[number])
            if after == state and number < self._answered:
                return [(number, after)]
            if after is not None and after != state:
                steps.append((number, after))
        return steps

    def _next_ones(self, done: int) -> list[int]:
        """What may be the next: it began before anything else that is left had ended.

        What probably comes first is last.
        """
        left = ~done & self._everything
        earliest_end = math.inf
        possible = []
        for number in range((left & -left).bit_length() - 1, self._answered):
            operation = self.operations[number]
            if operation.called > earliest_end:
                break
            if left >> number & 1:
                possible.append(number)
                earliest_end = min(earliest_end, operation.returned)
        possible.sort(key=lambda number: -self.operations[number].returned)
        return [*self._unknown_ones(done, earliest_end), *possible]

    def _unknown_ones(self, done: int, earliest_end: float) -> Iterator[int]:
        for number in range(self._answered, len(self.operations)):
            if self.operations[number].called > earliest_end:
                return
            if not done >> number & 1:
                yield number


# --- what each operation does ---


def carry_out(state: State, operation: Operation) -> State | None:
    """Return the state after an operation; None if it cannot have had its answer here."""
    answer = operation.answer
    if operation.name == "get":
        if answer is None:
            return state
        read = state.at(answer.rev)
        return read if read is not None and read.value == answer.value else None
    if answer is None:
        return _carry_out_unseen(state, operation)
    if answer.refused == "storage":
        return state
    if operation.if_rev is not None:
        if answer.refused == "conflict":
            return state.at(answer.rev) if _can_conflict(state, operation.if_rev, answer) else None
        found = state.at(operation.if_rev)
        if found is None:
            return None
        state = found
    return _change(state, operation, answer)


def _carry_out_unseen(state: State, operation: Operation) -> State:
    """It may have been refused: then nothing has changed."""
    found = state.at(operation.if_rev)
    if found is None:
        return state
    return _change(found, operation, Answer()) or state


def _can_conflict(state: State, if_rev: int, answer: Answer) -> bool:
    if answer.rev is not None:
        return answer.rev != if_rev
    return state.at(if_rev) is None or (state.text is not None and not state.is_exact)


def _change(state: State, operation: Operation, answer: Answer) -> State | None:
    value = state.value
    if operation.name == "delete":
        if answer.deleted not in (None, state.text is not None):
            return None
        return state.at(answer.rev) if state.text is None else state.changed(None, answer.rev)
    if operation.name == "incr":
        after = _incremented(value, operation.argument)
        if after is None or answer.refused is not None:
            return state if answer.refused == "wrong_type" and after is None else None
    else:
        assert operation.name in ("set", "merge"), operation
        if answer.refused is not None:
            return None
        is_merge = operation.name == "merge"
        after = merge_patch(value, operation.argument) if is_merge else operation.argument
    if answer.value is not UNSAID and answer.value != after:
        return None
    return state.changed(after, answer.rev)


def _incremented(value: Any, by: int) -> Any:
    """The number after it, as the text of one if it was; None if it was none."""
    if value is None:
        return by
    if isinstance(value, str):
        is_number = value.removeprefix("-").isdecimal()
        return str(int(value) + by) if is_number else None
    return value + by if isinstance(value, int) else None


def merge_patch(value: Any, patch: Any) -> Any:
    """Return what RFC 7396 makes of a value."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, part in patch.items():
        if part is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), part)
    return merged
