"""What files and journal say together."""

from dunena.persistence.disk.journal import Recorded, Replay, Segment
from dunena.persistence.disk.recovery import EDITED_AFTER_NS, last_revision, recover
from dunena.store.entry import ChangeKind, Entry

SEGMENT = Segment("1.log", 3, modified_ns=1000)


def replay(*commits: list[Recorded]) -> Replay:
    return Replay([(SEGMENT, commit) for commit in commits])


def stored(revision: int, key: str, value: bytes) -> Recorded:
    return Recorded(ChangeKind.SET, revision, "", key, None, value)


def values(standing: dict) -> dict[str, bytes]:
    return {key: entry.value for (_, key), entry in standing.items()}


def entry(key: str, value: bytes) -> Entry:
    return Entry("", key, value, None, 0)


def test_without_a_journal_files_are_the_truth() -> None:
    standing, changes = recover([entry("a", b"1")], Replay(), lambda _place: 10**18)
    assert values(standing) == {"a": b"1"}
    assert changes == {}
    assert last_revision(Replay()) == 0


def test_changes_are_applied_in_their_order() -> None:
    found = replay(
        [stored(1, "a", b"2"), stored(2, "b", b"3")],
        [Recorded(ChangeKind.DELETE, 3, "", "a"), Recorded(ChangeKind.EXPIRED, 4, "", "gone")],
        [stored(5, "b", b"4")],
    )
    standing, changes = recover([entry("a", b"1"), entry("c", b"9")], found, lambda _place: 0)
    assert values(standing) == {"b": b"4", "c": b"9"}
    assert standing["", "b"].revision == 5
    assert {place[1]: change.entry for place, change in changes.items()} == {
        "a": None,
        "b": standing["", "b"],
        "gone": None,
    }
    assert last_revision(found) == 5


def test_a_clear_takes_files_too() -> None:
    found = replay([stored(1, "a", b"1"), Recorded(ChangeKind.CLEAR, 2)], [stored(3, "b", b"1")])
    standing, changes = recover([entry("c", b"1")], found, lambda _place: 0)
    assert values(standing) == {"b": b"1"}
    assert {place[1] for place in changes} == {"a", "b", "c"}


def test_a_file_edited_long_after_the_crash_keeps_what_it_says() -> None:
    late = SEGMENT.modified_ns + EDITED_AFTER_NS + 1
    found = replay(
        [stored(1, "edited", b"1"), stored(2, "followed", b"2"), stored(3, "early", b"3")]
    )
    times = {"edited": late, "followed": late, "early": late - 1}
    files = [entry("edited", b"9"), entry("followed", b"2"), entry("early", b"9")]
    standing, changes = recover(files, found, lambda place: times[place[1]])
    assert values(standing) == {"edited": b"9", "followed": b"2", "early": b"3"}
    assert {place[1] for place in changes} == {"followed", "early"}
