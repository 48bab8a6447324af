"""What the files and the journal say together, when a folder is opened.

A clean stop leaves an empty journal, and the files are the truth. After a crash the journal holds
changes that files may not show. They are applied in their order, with one exception: a file that
another hand edited after the crash keeps what that hand wrote. It is known by a value that the
journal has not for its key, in a file changed well after the journal's last write.
"""

from collections.abc import Callable

from dunena.persistence.disk.journal import Recorded, Replay
from dunena.persistence.disk.layout import Place
from dunena.store.entry import Change, ChangeKind, Entry

EDITED_AFTER_NS = 10 * 1_000_000_000
"""A file changed this long after the journal was not changed by us: files follow in a second."""


def recover(
    entries: list[Entry], replay: Replay, modified_ns: Callable[[Place], int | None]
) -> tuple[dict[Place, Entry], dict[Place, Change]]:
    """The entries that stand, and the last change of each key whose file may not show it yet.

    ``modified_ns`` says when a key's file was changed; None without a file.
    """
    standing = {(entry.ns, entry.key): entry for entry in entries}
    changes: dict[Place, Change] = {}
    edited = _edited_after(standing, replay, modified_ns)
    for _, commit in replay.commits:
        for recorded in commit:
            for place in _places(recorded, standing):
                if place not in edited:
                    _apply(place, recorded, standing, changes)
    return standing, changes


def last_revision(replay: Replay) -> int:
    """Of the latest change in the journal; 0 in an empty one."""
    return max((commit[-1].revision for _, commit in replay.commits), default=0)


def _places(recorded: Recorded, standing: dict[Place, Entry]) -> list[Place]:
    if recorded.kind is ChangeKind.CLEAR:
        return list(standing)
    return [(recorded.ns, recorded.key)]


def _edited_after(
    standing: dict[Place, Entry], replay: Replay, modified_ns: Callable[[Place], int | None]
) -> set[Place]:
    """Keys whose file was edited by another hand after the crash."""
    if not replay.commits:
        return set()
    written_ns = max(segment.modified_ns for segment, _ in replay.commits)
    late = {place for place in standing if (modified_ns(place) or 0) > written_ns + EDITED_AFTER_NS}
    for _, commit in replay.commits:
        for recorded in commit:
            place = (recorded.ns, recorded.key)
            if place in late and standing[place].value == recorded.value:
                late.discard(place)
    return late


def _apply(
    place: Place,
    recorded: Recorded,
    standing: dict[Place, Entry],
    changes: dict[Place, Change],
) -> None:
    standing.pop(place, None)
    after = None
    if recorded.value is not None:
        after = Entry(*place, recorded.value, recorded.expires_at, recorded.revision)
        standing[place] = after
    changes[place] = Change(recorded.kind, *place, recorded.revision, entry=after)
