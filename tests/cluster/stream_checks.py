"""What contradicts the promises of what single connections are told; no I/O.

Those of the first protocols have no revisions: their places in the one order are found by values
and keys that are set once.
"""

import itertools
from collections.abc import Iterator
from typing import Any

from tests.cluster.history import ONCE, OWN, RACE, History, Stream
from tests.cluster.knowledge import Known, text_of


def disordered_values(history: History, known: Known) -> Iterator[str]:
    """No subscriber sees an older value of a key after a newer one, and all see one order.

    Also over its connections, as it stays at its node. Of values that no revision is known of, that
    all agree is looked at alone.
    """
    follows: dict[tuple[str, str], set[str]] = {}
    for name, streams in history.values.items():
        last: dict[str, Any] = {}
        places: dict[str, int] = {}
        for key, value in _items(streams):
            if not key.startswith((OWN, RACE)) or (key in last and last[key] == value):
                continue
            place = known.place(key, value)
            if place is not None:
                if place < places.get(key, 0):
                    yield f"{name} was told {key}={value} of {place} after {places[key]}"
                places[key] = place
            if key in last:
                follows.setdefault((key, text_of(last[key])), set()).add(text_of(value))
            last[key] = value
    _add_known(follows, known)
    yield from _circles(follows)


def _add_known(follows: dict[tuple[str, str], set[str]], known: Known) -> None:
    by_key: dict[str, list[tuple[int, str]]] = {}
    for (key, value), place in known.places.items():
        if key.startswith((OWN, RACE)):
            by_key.setdefault(key, []).append((place, value))
    for key, values in by_key.items():
        for (_, earlier), (_, later) in itertools.pairwise(sorted(values)):
            follows.setdefault((key, earlier), set()).add(later)


def _circles(follows: dict[tuple[str, str], set[str]]) -> Iterator[str]:
    """Values of a key of which each came after the other: there is no order that all saw."""
    before: dict[tuple[str, str], int] = {}
    for (key, _), values in follows.items():
        for value in values:
            before[key, value] = before.get((key, value), 0) + 1
    free = [one for one in follows if one not in before]
    while free:
        key, value = free.pop()
        for later in follows.get((key, value), ()):
            before[key, later] -= 1
            if not before[key, later]:
                del before[key, later]
                free.append((key, later))
    for key in sorted({key for key, _ in before}):
        values = sorted(value for one, value in before if one == key)
        yield f"subscribers disagree on the order of {key}: {values[:5]}"


def disordered_events(history: History, known: Known) -> Iterator[str]:
    """Events come in the order of their changes, and each is told once by a node."""
    for name, streams in history.events.items():
        told: set[tuple[str, str]] = set()
        newest, latest = 0, ("", "")
        for event, key in _items(streams):
            if not key.startswith(ONCE):
                continue
            kind = "set" if event == "set" else "removal"
            if (kind, key) in told:
                yield f"{name} was told twice of the {kind} of {key}"
            if kind == "set" and ("removal", key) in told:
                yield f"{name} was told of the set of {key} after its removal"
            told.add((kind, key))
            place = _place_of(kind, key, known, newest)
            if place is None:
                continue
            if place < newest:
                yield f"{name} was told of {event} {key} at {place} after {latest} at {newest}"
            else:
                newest, latest = place, (event, key)


def _place_of(kind: str, key: str, known: Known, newest: int) -> int | None:
    """Where it happened. A key may be removed once more when it is gone: the first that can be."""
    if kind == "set":
        return known.place(key, 1)
    removals = known.removals.get(key)
    if not removals:
        return None
    return next((place for place in removals if place >= newest), removals[-1])


def disordered_messages(history: History) -> Iterator[str]:
    """What a publisher's connection sent arrives in its order, at most once."""
    for name, streams in history.messages.items():
        for stream in streams:
            last: dict[str, int] = {}
            for publisher, number in stream.items:
                if number <= last.get(publisher, 0):
                    yield f"{name} heard {number} of {publisher} after {last[publisher]}"
                last[publisher] = number


def _items(streams: list[Stream]) -> Iterator[tuple[str, Any]]:
    return (item for stream in streams for item in stream.items)
