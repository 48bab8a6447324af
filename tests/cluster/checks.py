"""What of a history contradicts the promises of a cluster.

Nothing here does input or output. Each check has a promise of docs/cluster.md behind it; those of
what single connections were told are in `stream_checks`.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.cluster.history import (
    ACCOUNT,
    COUNTER,
    FLEETING,
    OWN,
    RACE,
    WILLS,
    Change,
    History,
    Outcome,
    Update,
    Write,
)
from tests.cluster.knowledge import Known, learn
from tests.cluster.stream_checks import disordered_events, disordered_messages, disordered_values


def problems(history: History) -> list[str]:
    """Everything that contradicts a promise, in words; empty if nothing does."""
    known = learn(history)
    return [
        *known.contradictions,
        *_lost_writes(history),
        *_refused_writes(history, known),
        *_overtaken_writes(history, known),
        *_late_updates(history),
        *_stale_reads(history),
        *_miscounted(history),
        *_backwards(history),
        *_begun_anew(history),
        *_incomplete(history, known),
        *_torn(history),
        *_ended_too_early(history, known),
        *_not_ended(history),
        *_different_ends(history),
        *disordered_values(history, known),
        *disordered_events(history, known),
        *disordered_messages(history),
    ]


def _acknowledged(history: History) -> Iterator[Write]:
    return (one for one in history.writes if one.outcome is Outcome.ACKNOWLEDGED)


def _lost_writes(history: History) -> Iterator[str]:
    """An acknowledged `set` of an own key is there, or a later one; a refused one never was."""
    newest: dict[str, int] = {}
    sent: dict[str, set[int]] = {}
    own = [write for write in history.writes if write.key.startswith(OWN)]
    for write in own:
        if write.outcome is Outcome.ACKNOWLEDGED:
            newest[write.key] = max(newest.get(write.key, 0), write.number)
        if write.outcome is not Outcome.REFUSED:
            sent.setdefault(write.key, set()).add(write.number)
    for node, values in history.final.items():
        for key, number in newest.items():
            found = number_of(values.get(key))
            if found < number:
                yield f"node {node} lost {key}={number}, and has {found}"
            elif found not in sent[key]:
                yield f"node {node} has {key}={found}, which was never sent or was refused"


def _refused_writes(history: History, known: Known) -> Iterator[str]:
    """What was refused with nothing stored has never been seen."""
    for write in history.writes:
        place = known.place(write.key, write.value)
        if write.outcome is Outcome.REFUSED and place is not None:
            yield f"{write.key}={write.value} was seen at {place}, which was refused"


def _overtaken_writes(history: History, known: Known) -> Iterator[str]:
    """In the end each key is where its last acknowledged write was, or further on.

    A write with a condition follows directly what it was to follow. And one order fits what
    happened: a write that began when another one had been answered comes after that (which makes
    all writes of all keys linearizable, with their revisions as order).
    """
    changed: dict[str, list[int]] = {}
    for change in known.changes:
        changed.setdefault(change.key, []).append(change.rev)
    for write in _acknowledged(history):
        if write.after is not None:
            revs = changed.get(write.key, [])
            between = revs[bisect_right(revs, write.after) : bisect_left(revs, write.rev)]
            if between:
                yield f"{write.key}={write.value} was to follow {write.after}, not {between[-1]}"
        last = known.last(write.key)
        if write.rev > last:
            yield f"{write.key}={write.value} at {write.rev} is lost: the key is at {last}"
    ended_at = float("inf")
    for write in sorted(_acknowledged(history), key=lambda one: one.rev, reverse=True):
        if write.began_at > ended_at:
            yield f"{write.key}={write.value} came before a write that was answered earlier"
        ended_at = min(ended_at, write.ended_at)


def _late_updates(history: History) -> Iterator[str]:
    """A writer's watch is told of its write before the answer."""
    for write in _acknowledged(history):
        if write.told < write.rev:
            yield f"{write.key}={write.value} was answered before its watch was told of it"


def _stale_reads(history: History) -> Iterator[str]:
    """What a node has acknowledged, or shown to a connection, it shows from then on."""
    for read in history.reads:
        if read.rev < read.least:
            yield f"node {read.node} showed {read.key} at {read.rev} after {read.least}"
    for total in history.sums:
        if total:
            yield f"a read of all accounts had {total}"


def _miscounted(history: History) -> Iterator[str]:
    """Each `incr` that was sent again was made once, and each was told another number.

    A number is greater than all that were answered before its request was sent. Who asks again for
    what was answered gets the same answer, and is told so.
    """
    if not history.counted:
        return
    expected = len(history.counted)
    for node, values in history.final.items():
        if values.get(COUNTER) != expected:
            yield f"node {node} counted {values.get(COUNTER)}, and {expected} were acknowledged"
    numbers = Counter(count.number for count in history.counted.values())
    twice = [number for number, times in numbers.items() if times > 1]
    if twice:
        yield f"several were told the same count: {twice[:5]}"
    ended_at = float("inf")
    for count in sorted(history.counted.values(), key=lambda one: one.number, reverse=True):
        if count.began_at > ended_at:
            yield f"the count {count.number} was asked for after a greater one was answered"
        ended_at = min(ended_at, count.ended_at)
    for repeat in history.repeats:
        first = {name: value for name, value in repeat.first.items() if name != "duplicate"}
        if repeat.second != {**first, "duplicate": True}:
            yield f"{repeat.first} was answered, and then {repeat.second} to the same request"


def _backwards(history: History) -> Iterator[str]:
    """A follower's position and a key's number only grow; a change is within its update."""
    for name, updates in history.followed.items():
        rev = 0
        numbers: dict[str, int] = {}
        for update in updates:
            if update.rev < rev:
                yield f"{name} went back from {rev} to {update.rev} at node {update.node}"
            keys = [change.key for change in update.changes]
            if len(keys) != len(set(keys)):
                yield f"{name} was told twice of a key in the update at {update.rev}"
            for change in update.changes:
                if not update.is_reset and not rev < change.rev <= update.rev:
                    yield f"{name} was told of {change.rev} between {rev} and {update.rev}"
                if change.key.startswith(OWN):
                    number = number_of(change.value)
                    if number < numbers.get(change.key, 0):
                        yield f"{name} saw {change.key}={number} after {numbers[change.key]}"
                    numbers[change.key] = number
            rev = update.rev


def _begun_anew(history: History) -> Iterator[str]:
    """A watch begins anew only without a position: no removal here is older than is remembered."""
    epochs = {update.epoch for updates in history.followed.values() for update in updates}
    if len(epochs) > 1:
        yield f"there were several epochs: {sorted(epochs)}"
    for name, updates in history.followed.items():
        for update in updates:
            if update.is_reset and (update.is_resumed or not update.is_first):
                yield f"{name} began anew at {update.rev} at node {update.node}"


def _incomplete(history: History, known: Known) -> Iterator[str]:
    """After an update a follower has, of every key, the newest change up to its position."""
    for name, updates in history.followed.items():
        yield from itertools.islice(_gaps(name, updates, known), 5)


def _gaps(name: str, updates: list[Update], known: Known) -> Iterator[str]:
    held: dict[str, int] = {}
    place = 0
    for update in updates:
        if update.is_reset:
            held.clear()
            place = 0
        for change in update.changes:
            if change.value is None:
                held.pop(change.key, None)
            else:
                held[change.key] = change.rev
        newest: dict[str, Change] = {}
        while place < len(known.changes) and known.changes[place].rev <= update.rev:
            newest[known.changes[place].key] = known.changes[place]
            place += 1
        for key, change in newest.items():
            # What was set and removed since the update before need not be told.
            is_right = key not in held if change.value is None else held.get(key) == change.rev
            if not is_right:
                yield f"{name} was at {update.rev} without {key}={change.value} of {change.rev}"


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


def _ended_too_early(history: History, known: Known) -> Iterator[str]:
    """A session's key stays from its first to its last write, and who is back in time resumes it.

    Also when the session before it, which had the same key, ends meanwhile.
    """
    for life in history.lives:
        for rev in known.removals.get(life.key, ()):
            if life.first < rev < life.last:
                yield f"{life.key} went at {rev}; its session had it from {life.first} on"
    for resume in history.resumes:
        if resume.away < resume.grace and not resume.is_resumed:
            yield f"a session was lost after {resume.away:.1f} s of {resume.grace} s of grace"


def _not_ended(history: History) -> Iterator[str]:
    """No key outlives what it belongs to, and each session's will ran once."""
    for node, values in history.final.items():
        left = sorted(key for key in values if key.startswith(FLEETING))
        if left:
            yield f"node {node} still has {left[:5]}"
        wills = values.get(WILLS, 0)
        if not history.begun <= wills <= history.begun + history.unsure:
            yield f"node {node} has {wills} wills of {history.begun} sessions (+{history.unsure})"


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
    for name, streams in history.values.items():
        told = dict(item for stream in streams for item in stream.items)
        wrong = {key for key in told if key.startswith((OWN, RACE)) and told[key] != expected[key]}
        missing = {key for key in expected if key.startswith((OWN, RACE)) and key not in told}
        if wrong or missing:
            yield f"{name} was told other last values of {sorted(wrong | missing)[:5]}"


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))[:5]


def number_of(value: Any) -> int:
    """The number of an own key's value; 0 of any other."""
    return int(value["n"]) if isinstance(value, dict) and "n" in value else 0
