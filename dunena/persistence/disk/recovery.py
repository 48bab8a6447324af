"""What the files and the journal say together, when a folder is opened.

A clean stop leaves an empty journal, and the files are the truth. After a crash the journal holds
changes that files may not show. They are applied in their order, with one exception: a key whose
file another hand changed or removed since keeps what that hand did. What our own hand may have
left is known by its stamp, never by a date: see `FileStates`.

A power cut may undo what was written last, so a file may then be in any state that the journal
knows of, or gone; where that cannot be told from another hand, what was acknowledged stands.
"""

from collections.abc import Iterable

from dunena.persistence.disk.disk import Stamp
from dunena.persistence.disk.journal_format import Recorded, Stamps
from dunena.persistence.disk.journal_reader import Replay
from dunena.store.entry import Change, ChangeKind, Entry, EntryId

_NUMBER_STARTS = frozenset(bytes((byte,)) for byte in b"-0123456789")


class Recovered:
    """What came of it: all entries, the last change of each key whose file may not show it yet,
    and the keys that another hand changed since."""

    def __init__(self, entries: Iterable[Entry], *, may_go_back: bool) -> None:
        self.may_go_back = may_go_back  # files, to states that the journal does not know of
        self.standing = {(entry.ns, entry.key): entry for entry in entries}
        self.changes: dict[EntryId, Change] = {}
        self.edited: set[EntryId] = set()


def recover(
    entries: list[Entry], replay: Replay, stamps: Stamps, damaged: Iterable[EntryId] = ()
) -> Recovered:
    """Apply a journal to what files hold.

    ``stamps`` are of the files that were read; those of ``damaged`` keys could not be.
    """
    may_go_back = not (replay.is_complete or replay.is_forced)
    recovered = Recovered(entries, may_go_back=may_go_back)
    recovered.edited = _edited(recovered.standing, replay, stamps) - set(damaged)
    for commit in replay.commits:
        for recorded in commit:
            for entry_id in _places(recorded, recovered, stamps):
                _apply(entry_id, recorded, recovered)
    return recovered


def _edited(standing: dict[EntryId, Entry], replay: Replay, stamps: Stamps) -> set[EntryId]:
    """Keys of the journal whose file another hand changed or removed."""
    written = _values(replay)
    cleared: frozenset[object] = frozenset().union(
        *(recorded.cleared for commit in replay.commits for recorded in commit)
    )
    edited = set()
    for entry_id, states in replay.files.items():
        stamp = stamps.get(entry_id)
        allowed = states.latest if replay.is_complete else states.seen
        if stamp in allowed or stamp in cleared:
            continue
        if not replay.is_complete and (
            stamp is None or not replay.is_forced or _is_cut_short(stamp, allowed)
        ):
            continue
        is_uncertain = states.is_planned or not replay.is_complete
        if (
            stamp is not None
            and is_uncertain
            and _is_ours(standing[entry_id].value, written[entry_id])
        ):
            continue  # a stamp that was not kept, or of a file that was written in its place
        edited.add(entry_id)
    return edited


def _is_cut_short(stamp: Stamp, states: set[Stamp | None]) -> bool:
    """Whether a file is one of those, of which a power cut kept a part."""
    return any(
        state is not None and (state.inode, state.modified_ns) == (stamp.inode, stamp.modified_ns)
        for state in states
    )


def _is_ours(value: bytes, written: set[bytes | None]) -> bool:
    """Whether a file holds one of the journal's values, or what a power cut left of one.

    Of all JSON texts only a number's beginning is one as well.
    """
    return value in written or any(
        number is not None and number[:1] in _NUMBER_STARTS and number.startswith(value)
        for number in written
    )


def _values(replay: Replay) -> dict[EntryId, set[bytes | None]]:
    """Every value that the journal has of each key."""
    values: dict[EntryId, set[bytes | None]] = {entry_id: set() for entry_id in replay.files}
    for commit in replay.commits:
        for recorded in commit:
            if recorded.kind is not ChangeKind.CLEAR:
                values[recorded.ns, recorded.key].add(recorded.value)
    return values


def _places(recorded: Recorded, recovered: Recovered, stamps: Stamps) -> list[EntryId]:
    """The keys that a change takes, but for those that another hand has changed since."""
    edited = recovered.edited
    if recorded.kind is not ChangeKind.CLEAR:
        entry_id = (recorded.ns, recorded.key)
        return [] if entry_id in edited else [entry_id]
    return [
        entry_id
        for entry_id in recovered.standing
        if _is_cleared(entry_id, recorded, recovered, stamps)
    ]


def _is_cleared(
    entry_id: EntryId, recorded: Recorded, recovered: Recovered, stamps: Stamps
) -> bool:
    """Whether a clear took a key: one that was set before it, or a file that it knew of."""
    if entry_id in recovered.edited:
        return False
    is_known = entry_id in recovered.changes or recovered.may_go_back
    return is_known or stamps.get(entry_id) in recorded.cleared


def _apply(entry_id: EntryId, recorded: Recorded, recovered: Recovered) -> None:
    recovered.standing.pop(entry_id, None)
    after = None
    if recorded.value is not None:
        after = Entry(*entry_id, recorded.value, recorded.expires_at, recorded.revision)
        recovered.standing[entry_id] = after
    kind = ChangeKind.DELETE if recorded.kind is ChangeKind.CLEAR else recorded.kind
    recovered.changes[entry_id] = Change(kind, *entry_id, recorded.revision, entry=after)
