"""Recovery from value files and the journal."""

import pytest

from dunena.persistence.disk.disk import Stamp
from dunena.persistence.disk.journal_format import FileStates, Recorded
from dunena.persistence.disk.journal_reader import Replay
from dunena.persistence.disk.recovery import Recovered, recover
from dunena.store.entry import ChangeKind, Entry, EntryId
from tests.support.stamp_tables import table_of

OLD, NEW, FOREIGN = Stamp(1, 10**18, 1), Stamp(2, 5, 1), Stamp(3, -7, 1)
"""Of files by their dates in no order: they say nothing."""

PLACE = ("", "k")


def stored(revision: int, key: str, value: bytes, stamp: Stamp | None = None) -> Recorded:
    return Recorded(ChangeKind.SET, revision, "", key, stamp, None, value)


def removed(revision: int, key: str, stamp: Stamp | None = None) -> Recorded:
    return Recorded(ChangeKind.DELETE, revision, "", key, stamp)


def replay(*commits: list[Recorded], files: dict[EntryId, FileStates] | None = None) -> Replay:
    found = Replay(commits=list(commits), last_revision=commits[-1][-1].revision)
    for commit in commits:
        for change in commit:
            if change.kind is not ChangeKind.CLEAR:
                found.states_of((change.ns, change.key)).changed(change.stamp)
    found.files |= files or {}
    return found


def entry(key: str, value: bytes) -> Entry:
    return Entry("", key, value, None, 0)


def values(recovered: Recovered) -> dict[str, bytes]:
    return {key: entry.value for (_, key), entry in recovered.standing.items()}


def test_recovery_without_a_journal_uses_the_files() -> None:
    recovered = recover([entry("k", b"1")], Replay(), table_of({PLACE: OLD}))
    assert values(recovered) == {"k": b"1"}
    assert recovered.changes == {}


def test_journal_changes_are_applied_in_order() -> None:
    found = replay(
        [stored(1, "a", b"2", OLD), stored(2, "b", b"3")],
        [removed(3, "a", OLD), Recorded(ChangeKind.EXPIRED, 4, "", "gone")],
        [stored(5, "b", b"4")],
    )
    files = [entry("a", b"1"), entry("c", b"9")]
    recovered = recover(files, found, table_of({("", "a"): OLD, ("", "c"): FOREIGN}))
    assert values(recovered) == {"b": b"4", "c": b"9"}
    assert recovered.standing["", "b"].revision == 5
    assert {entry_id[1]: change.entry for entry_id, change in recovered.changes.items()} == {
        "a": None,
        "b": recovered.standing["", "b"],
        "gone": None,
    }


def test_the_last_write_in_the_journal_decides_what_is_merged_and_when() -> None:
    timed = Recorded(ChangeKind.SET, 1, "", "a", OLD, 99, b"1", then=b"2")
    other = Recorded(ChangeKind.SET, 2, "", "b", None, 99, b"1", then=b"2")
    file = Entry("", "a", b"1", 50, 0, then=b"3")
    recovered = recover(
        [file], replay([timed, other], [stored(3, "b", b"1")]), table_of({("", "a"): OLD})
    )
    found = {key: (entry.expires_at, entry.then) for (_, key), entry in recovered.standing.items()}
    assert found == {"a": (99, b"2"), "b": (None, None)}


def test_a_clear_removes_only_the_files_it_recorded() -> None:
    clear = Recorded(ChangeKind.CLEAR, 2, cleared=frozenset({OLD}))
    found = replay([stored(1, "a", b"1"), clear], [stored(3, "b", b"1")])
    files = [entry("known", b"1"), entry("new", b"2")]
    recovered = recover(files, found, table_of({("", "known"): OLD, ("", "new"): FOREIGN}))
    assert values(recovered) == {"b": b"1", "new": b"2"}
    assert {entry_id[1] for entry_id in recovered.changes} == {"a", "b", "known"}


@pytest.mark.parametrize(
    ("stamp", "value", "is_complete", "expected"),
    [
        (OLD, b"1", True, b"2"),  # as the change found it
        (FOREIGN, b"9", True, b"9"),  # edited
        (FOREIGN, b"9", False, b"9"),
        (None, None, True, None),  # removed
        (None, None, False, b"2"),  # or lost with the power
        (FOREIGN, b"2", False, b"2"),  # ours, but what was noted of it was lost
        (FOREIGN, b"1", True, b"1"),  # put back
    ],
)
def test_recovery_distinguishes_hand_edits_from_lost_writes(
    stamp: Stamp | None, value: bytes | None, is_complete: bool, expected: bytes | None
) -> None:
    found = replay([stored(1, "k", b"1", None)], [stored(2, "k", b"2", OLD)])
    found.files[PLACE].planned(None, OLD)
    found.files[PLACE].carried_out(OLD)
    found.is_complete = is_complete
    files = [] if value is None else [entry("k", value)]
    recovered = recover(files, found, table_of({} if stamp is None else {PLACE: stamp}))
    assert values(recovered).get("k") == expected
    assert (PLACE in recovered.edited) is (expected != b"2")


def test_a_file_whose_replacement_was_planned_may_have_either_stamp() -> None:
    for stamp, value in ((OLD, b"1"), (NEW, b"2")):
        found = replay([stored(2, "k", b"2", OLD)])
        found.files[PLACE].planned(OLD, NEW)
        recovered = recover([entry("k", value)], found, table_of({PLACE: stamp}))
        assert values(recovered) == {"k": b"2"}
        assert not recovered.edited


def test_the_journal_overrides_earlier_and_truncated_file_content_after_a_power_cut() -> None:
    for stamp, value in ((OLD, b"5"), (FOREIGN, b"12")):
        found = replay([stored(2, "k", b"123", OLD)], [stored(3, "k", b"4", NEW)])
        found.is_complete = False
        recovered = recover([entry("k", value)], found, table_of({PLACE: stamp}))
        assert values(recovered) == {"k": b"4"}


def test_the_journal_overrides_an_unreadable_file() -> None:
    found = replay([stored(2, "k", b"2", OLD)])
    recovered = recover([], found, table_of({}), damaged=[PLACE])
    assert values(recovered) == {"k": b"2"}


def test_the_journal_overrides_unsynced_files_after_a_power_cut() -> None:
    found = replay([stored(2, "k", b"2", OLD)])
    found.is_complete = found.is_forced = False
    assert values(recover([entry("k", b"0")], found, table_of({PLACE: FOREIGN}))) == {"k": b"2"}
