"""The one order of all changes, as far as anybody was told of it; no I/O."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.history import Change, History, Outcome


@dataclass(slots=True)
class Known:
    """What all clients together know.

    ``changes`` are in order, ``removals`` are the revisions at which a key went. ``places`` has the
    revision of a key's value by both, as text. ``contradictions`` says who had been told otherwise.
    """

    changes: list[Change] = field(default_factory=list)
    removals: dict[str, list[int]] = field(default_factory=dict)
    places: dict[tuple[str, str], int] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    _last: dict[str, int] = field(default_factory=dict)

    def last(self, key: str) -> int:
        """The revision of the last change of a key, 0 if none is known."""
        return self._last.get(key, 0)

    def place(self, key: str, value: Any) -> int | None:
        """Where a key was set to a value that it was set to once; None if nobody knows."""
        return self.places.get((key, text_of(value)))


def text_of(value: Any) -> str:
    """A value as text that is the same for equal ones."""
    return json.dumps(value, sort_keys=True)


def learn(history: History) -> Known:
    """Put together what followers were told, and what writers were answered.

    A revision is the same change for all. As every follower's revisions grow, it follows that all
    saw one order.
    """
    known = Known()
    seen: dict[int, Change] = {}
    for name, updates in history.followed.items():
        for update in updates:
            for change in update.changes:
                other = seen.setdefault(change.rev, change)
                if other is not change and (other.key, other.value) != (change.key, change.value):
                    known.contradictions.append(
                        f"{name} saw {change.key}={change.value} at {change.rev}, "
                        f"another saw {other.key}={other.value}"
                    )
    known.changes = [seen[rev] for rev in sorted(seen)]
    for change in known.changes:
        known._last[change.key] = change.rev
        if change.value is None:
            known.removals.setdefault(change.key, []).append(change.rev)
        else:
            known.places[change.key, text_of(change.value)] = change.rev
    for write in history.writes:
        if write.outcome is not Outcome.ACKNOWLEDGED:
            continue
        found = seen.get(write.rev)
        if found is not None and (found.key, found.value) != (write.key, write.value):
            known.contradictions.append(
                f"{write.key}={write.value} was acknowledged at the place of "
                f"{found.key}={found.value}"
            )
        known.places[write.key, text_of(write.value)] = write.rev
    return known
