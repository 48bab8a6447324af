"""Combining the files and the journal when a folder is opened.

A clean stop leaves an empty journal, and the files hold all values. After a crash the journal has
changes that files may not show. They are applied in their order, with one exception: if others
changed or removed a key's file since, their change wins. The stamps of files that the server may
have written are known (`FileStates`); dates are not compared.

A power cut may undo the last writes, so a file may then have any stamp of the journal, or be
missing. If that cannot be distinguished from a change by others, the acknowledged change wins.
"""

from collections.abc import Iterable

from dunena.persistence.disk.disk import Stamp
from dunena.persistence.disk.journal_format import Recorded
from dunena.persistence.disk.journal_reader import Replay
from dunena.persistence.disk.stamps import StampTable
from dunena.store.entry import Change, ChangeKind, Entry, EntryId

_NUMBER_STARTS = frozenset(bytes((byte,)) for byte in b"-0123456789")


class Recovered:
    """The result of recovery.

    ``standing`` are all entries, ``changes`` the last change of each key whose file may not show
    it, and ``edited`` the keys whose file others changed since.
    """

    def __init__(self, entries: Iterable[Entry], *, may_go_back: bool) -> None:
        self.may_go_back = may_go_back  # files may have older states than the journal knows
        self.standing = {(entry.ns, entry.key): entry for entry in entries}
        self.changes: dict[EntryId, Change] = {}
        self.edited: set[EntryId] = set()


def recover(
    entries: list[Entry], replay: Replay, stamps: StampTable, damaged: Iterable[EntryId] = ()
) -> Recovered:
    """Apply a journal to the entries read from files.

    ``stamps`` are those of the files that were read; the files of ``damaged`` keys could not be.
    """
    may_go_back = not (replay.is_complete or replay.is_forced)
    recovered = Recovered(entries, may_go_back=may_go_back)
    recovered.edited = _edited(recovered.standing, replay, stamps) - set(damaged)
    for commit in replay.commits:
        for recorded in commit:
            for entry_id in _places(recorded, recovered, replay, stamps):
                _apply(entry_id, recorded, recovered)
    return recovered


def _edited(standing: dict[EntryId, Entry], replay: Replay, stamps: StampTable) -> set[EntryId]:
    """Return the keys of the journal whose file others changed or removed."""
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
            continue  # the stamp was lost, or is that of a file that replaced it
        edited.add(entry_id)
    return edited


def _is_cut_short(stamp: Stamp, states: set[Stamp | None]) -> bool:
    """Return whether a file is one of ``states`` that a power cut has truncated."""
    return any(
        state is not None and (state.inode, state.modified_ns) == (stamp.inode, stamp.modified_ns)
        for state in states
    )


def _is_ours(value: bytes, written: set[bytes | None]) -> bool:
    """Return whether a file holds one of the journal's values, or a truncated one.

    Of all JSON texts only numbers are still valid JSON after truncation.
    """
    return value in written or any(
        number is not None and number[:1] in _NUMBER_STARTS and number.startswith(value)
        for number in written
    )


def _values(replay: Replay) -> dict[EntryId, set[bytes | None]]:
    """Return all values of each key in the journal; None for a removal."""
    values: dict[EntryId, set[bytes | None]] = {entry_id: set() for entry_id in replay.files}
    for commit in replay.commits:
        for recorded in commit:
            if recorded.kind is not ChangeKind.CLEAR:
                values[recorded.ns, recorded.key].add(recorded.value)
    return values


def _places(
    recorded: Recorded, recovered: Recovered, replay: Replay, stamps: StampTable
) -> list[EntryId]:
    """Return the keys that a change affects, without those that others changed since."""
    edited = recovered.edited
    if recorded.kind is not ChangeKind.CLEAR:
        entry_id = (recorded.ns, recorded.key)
        return [] if entry_id in edited else [entry_id]
    return [
        entry_id
        for entry_id in recovered.standing
        if _is_cleared(entry_id, recorded, recovered, replay, stamps)
    ]


def _is_cleared(
    entry_id: EntryId, recorded: Recorded, recovered: Recovered, replay: Replay, stamps: StampTable
) -> bool:
    """Return whether a clear removed a key: it was set before, or its file was known then.

    Its file may have been written since, for a change before the clear: then the journal has the
    stamp, though maybe not that change any more.
    """
    if entry_id in recovered.edited:
        return False
    is_known = entry_id in replay.files or recovered.may_go_back
    return is_known or stamps.get(entry_id) in recorded.cleared


def _apply(entry_id: EntryId, recorded: Recorded, recovered: Recovered) -> None:
    recovered.standing.pop(entry_id, None)
    after = None
    if recorded.value is not None:
        after = Entry(
            *entry_id,
            recorded.value,
            recorded.expires_at,
            recorded.revision,
            then=recorded.then,
        )
        recovered.standing[entry_id] = after
    kind = ChangeKind.DELETE if recorded.kind is ChangeKind.CLEAR else recorded.kind
    recovered.changes[entry_id] = Change(kind, *entry_id, recorded.revision, entry=after)
