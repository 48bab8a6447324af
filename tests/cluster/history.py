"""What clients of several nodes were told, and what of it contradicts the promises of a cluster.

Nothing here does input or output: `problems` looks at a finished `History`. Each check has one
promise of docs/cluster.md behind it.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

COUNTER = "counter"
ACCOUNT = "account-"
OWN = "own-"
"""Keys that one writer alone sets, to 1, 2, 3..., as the member ``n`` of an object."""


class Outcome(Enum):
    """What a writer knows of a write. REFUSED: the server said that nothing was stored."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Write:
    """A `set` of one of a writer's own keys."""

    key: str
    number: int
    outcome: Outcome
    rev: int = 0


@dataclass(slots=True)
class Change:
    """A change that a follower was told of; ``value`` is None if the key went."""

    key: str
    rev: int
    value: Any


@dataclass(slots=True)
class Update:
    """The updates of a watch up to one without `more`; ``node`` is where they came from."""

    node: int
    epoch: str
    rev: int
    is_reset: bool
    changes: list[Change]


@dataclass(slots=True)
class History:
    """All that clients were told.

    ``counted`` has the number that was answered to each idempotency key of an `incr`; each was
    asked for until it was acknowledged. ``final`` has what each node holds in the end.
    ``answered_at`` are the times of acknowledgements, by a clock that only grows, in seconds.
    """

    writes: list[Write] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    transfers: int = 0
    followed: dict[str, list[Update]] = field(default_factory=dict)
    final: dict[int, dict[str, Any]] = field(default_factory=dict)
    answered_at: list[float] = field(default_factory=list)


def problems(history: History) -> list[str]:
    """Everything that contradicts a promise, in words; empty if nothing does."""
    return [
        *_lost_writes(history),
        *_miscounted(history),
        *_backwards(history),
        *_disagreements(history),
        *_torn(history),
        *_different_ends(history),
    ]


def summarize(history: History) -> str:
    """Say how much there was to be checked."""
    outcomes = Counter(write.outcome.value for write in history.writes)
    updates = sum(map(len, history.followed.values()))
    sets = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    rest = f"{len(history.counted)} counts, {history.transfers} transfers, {updates} updates"
    return f"{sets} sets, {rest}"


def longest_silence(history: History, start: float, end: float) -> float:
    """Return the longest time between acknowledgements from ``start`` to ``end``, in seconds."""
    times = [start, *sorted(one for one in history.answered_at if start < one < end), end]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def _lost_writes(history: History) -> Iterator[str]:
    """An acknowledged `set` is there, or a later one of its key; a refused one never was."""
    newest: dict[str, int] = {}
    sent: dict[str, set[int]] = {}
    refused: set[tuple[str, int]] = set()
    for write in history.writes:
        if write.outcome is Outcome.ACKNOWLEDGED:
            newest[write.key] = max(newest.get(write.key, 0), write.number)
        if write.outcome is Outcome.REFUSED:
            refused.add((write.key, write.number))
        else:
            sent.setdefault(write.key, set()).add(write.number)
    for node, values in history.final.items():
        for key, number in newest.items():
            found = _number(values.get(key))
            if found < number:
                yield f"node {node} lost {key}={number}, and has {found}"
            elif found not in sent[key]:
                yield f"node {node} has {key}={found}, which was never sent or was refused"
    for name, change in _changes(history):
        if change.key.startswith(OWN) and (change.key, _number(change.value)) in refused:
            yield f"{name} saw {change.key}={_number(change.value)}, which was refused"


def _miscounted(history: History) -> Iterator[str]:
    """Each `incr` that was sent again was made once, and each was told another number."""
    if not history.counted:
        return
    expected = len(history.counted)
    for node, values in history.final.items():
        if values.get(COUNTER) != expected:
            yield f"node {node} counted {values.get(COUNTER)}, and {expected} were acknowledged"
    twice = [number for number, count in Counter(history.counted.values()).items() if count > 1]
    if twice:
        yield f"several were told the same count: {twice[:5]}"


def _backwards(history: History) -> Iterator[str]:
    """A follower's position and a key's number only grow; a change is within its update."""
    for name, updates in history.followed.items():
        epoch, rev = "", 0
        numbers: dict[str, int] = {}
        for update in updates:
            if update.epoch != epoch:
                epoch, rev = update.epoch, 0
            if update.rev < rev:
                yield f"{name} went back from {rev} to {update.rev} at node {update.node}"
            for change in update.changes:
                if not update.is_reset and not rev < change.rev <= update.rev:
                    yield f"{name} was told of {change.rev} between {rev} and {update.rev}"
                if change.key.startswith(OWN):
                    number = _number(change.value)
                    if number < numbers.get(change.key, 0):
                        yield f"{name} saw {change.key}={number} after {numbers[change.key]}"
                    numbers[change.key] = number
            rev = update.rev


def _disagreements(history: History) -> Iterator[str]:
    """A revision is the same change for all, and what its writer was told.

    As every follower's revisions grow, it follows that all saw one order.
    """
    seen: dict[tuple[str, int], tuple[str, Any]] = {}
    for name, updates in history.followed.items():
        for update in updates:
            for change in update.changes:
                place, what = (update.epoch, change.rev), (change.key, change.value)
                if seen.setdefault(place, what) != what:
                    yield f"{name} saw {what} at {place}, another saw {seen[place]}"
    epochs = {epoch for epoch, _ in seen}
    # A reply has no epoch: with several it is not known whose revision it names.
    if len(epochs) != 1:
        return
    (epoch,) = epochs
    for write in history.writes:
        if write.outcome is Outcome.ACKNOWLEDGED:
            expected = (write.key, {"n": write.number})
            if seen.get((epoch, write.rev), expected) != expected:
                found = seen[epoch, write.rev]
                yield f"{write.key}={write.number} was acknowledged at the place of {found}"


def _torn(history: History) -> Iterator[str]:
    """The sum of all accounts is nothing after each update: a `txn` is never seen in part."""
    for name, updates in history.followed.items():
        accounts: dict[str, int] = {}
        for update in updates:
            if update.is_reset:
                accounts.clear()
            for change in update.changes:
                if change.key.startswith(ACCOUNT):
                    accounts[change.key] = change.value or 0
            if sum(accounts.values()):
                yield f"{name} saw accounts of {sum(accounts.values())} at {update.rev}"
                break
    for node, values in history.final.items():
        total = sum(value for key, value in values.items() if key.startswith(ACCOUNT))
        if total:
            yield f"node {node} has accounts of {total}"


def _different_ends(history: History) -> Iterator[str]:
    """All nodes hold the same in the end, and every follower has seen just that."""
    if not history.final:
        yield "no node was asked what it holds"
        return
    first, expected = next(iter(history.final.items()))
    for node, values in history.final.items():
        if values != expected:
            yield f"nodes {first} and {node} differ in {_differences(values, expected)}"
    for name, updates in history.followed.items():
        state: dict[str, Any] = {}
        for update in updates:
            if update.is_reset:
                state.clear()
            for change in update.changes:
                if change.value is None:
                    state.pop(change.key, None)
                else:
                    state[change.key] = change.value
        if state != expected:
            yield f"{name} ended with other values of {_differences(state, expected)}"


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))[:5]


def _changes(history: History) -> Iterable[tuple[str, Change]]:
    for name, updates in history.followed.items():
        for update in updates:
            for change in update.changes:
                yield name, change


def _number(value: Any) -> int:
    return int(value["n"]) if isinstance(value, dict) else 0
