"""The journal: its lines, what a crash may leave of them, and its segments."""

import errno
import zlib
from pathlib import Path

import pytest

from dunena.persistence.disk import journal as journal_module
from dunena.persistence.disk.journal import Journal, Replay
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.store import Store
from tests.support.kept import FlakyDisk


@pytest.fixture
def disk() -> FlakyDisk:
    return FlakyDisk()


@pytest.fixture
def journal(disk: FlakyDisk, tmp_path: Path) -> Journal:
    journal = Journal(disk, str(tmp_path))
    journal.open(0)
    yield journal
    journal.close()


def change(revision: int, key: str = "k", value: bytes | None = b"1") -> Change:
    if value is None:
        return Change(ChangeKind.DELETE, "", key, revision)
    entry = Entry("", key, value, None, revision)
    return Change(ChangeKind.SET, "", key, revision, entry=entry)


def reopened(folder: Path, shown: int | None = 0) -> Replay:
    journal = Journal(FlakyDisk(), str(folder))
    replay = journal.open(shown)
    journal.close()
    return replay


def revisions(replay: Replay) -> list[int]:
    return [recorded.revision for _, commit in replay.commits for recorded in commit]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


def test_a_line_is_a_checksum_and_the_changes_of_one_commit(
    journal: Journal, tmp_path: Path
) -> None:
    changes: list[Change] = []
    store = Store(changes.append)
    store.set("n", "k", b'{"a":18446744073709551615}', 99)
    store.delete("n", "k")
    store.set("", "t", b'"x"', 5)
    store.expire(5)
    store.clear()
    journal.append(changes)
    payload = (
        b'[["set",1,"n","k",99,{"a":18446744073709551615}],["delete",2,"n","k"],'
        b'["set",3,"","t",5,"x"],["expired",4,"","t"],["clear",5]]'
    )
    (segment,) = segments(tmp_path)
    assert segment.name == f"{1:020d}-{0:020d}.log"
    assert segment.read_bytes() == b"%08x %s\n" % (zlib.crc32(payload), payload)
    ((_, commit),) = reopened(tmp_path).commits
    assert [recorded.kind for recorded in commit] == [made.kind for made in changes]
    assert (commit[0].ns, commit[0].key, commit[0].expires_at) == ("n", "k", 99)
    assert commit[0].value == b'{"a":18446744073709551615}'
    assert commit[1].value is None


def test_a_torn_tail_is_dropped_at_every_byte(journal: Journal, tmp_path: Path) -> None:
    journal.append([change(1)])
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    journal.append([change(2), change(3, "l")])
    both = segment.read_bytes()
    for size in range(1, len(both)):
        segment.write_bytes(both[:size])
        replay = reopened(tmp_path)
        kept = len(whole) if size >= len(whole) else 0
        assert revisions(replay) == ([1] if kept else [])
        assert replay.dropped_bytes == size - kept
        assert segment.stat().st_size == kept  # the next run finds whole lines alone
        assert reopened(tmp_path).dropped_bytes == 0


def test_a_flipped_bit_anywhere_is_found(journal: Journal, tmp_path: Path) -> None:
    journal.append([change(1, value=b'"text"')])
    (segment,) = segments(tmp_path)
    line = segment.read_bytes()
    for position in range(len(line)):
        segment.write_bytes(line[:position] + bytes([line[position] ^ 1]) + line[position + 1 :])
        assert revisions(reopened(tmp_path)) == []


def test_segments_roll_and_go_when_all_in_them_is_shown(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 100)
    for revision in range(1, 8):
        journal.append([change(revision)])
    assert len(segments(tmp_path)) > 2
    assert journal.bytes_total == sum(path.stat().st_size for path in segments(tmp_path))
    assert revisions(reopened(tmp_path)) == [1, 2, 3, 4, 5, 6, 7]
    first_end = journal.oldest_end
    journal.forget(int(first_end) - 1)
    assert journal.oldest_end == first_end
    journal.forget(6)
    assert revisions(reopened(tmp_path, 6)) == [7]
    journal.forget(7)
    assert segments(tmp_path) == []
    assert journal.oldest_end == float("inf")
    journal.append([change(8)])
    assert revisions(reopened(tmp_path, 7)) == [8]


def test_what_came_back_after_it_was_deleted_is_not_replayed(
    journal: Journal, tmp_path: Path
) -> None:
    journal.append([change(1)])
    (segment,) = segments(tmp_path)
    text = segment.read_bytes()
    journal.forget(1)
    journal.append([change(2)])
    segment.write_bytes(text)
    assert revisions(reopened(tmp_path, 1)) == [2]


def test_what_follows_on_something_missing_is_ignored(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 1)
    for revision in (1, 2, 3):
        journal.append([change(revision)])
    first, second, third = segments(tmp_path)
    text = second.read_bytes()
    second.write_bytes(text[:-1])
    replay = reopened(tmp_path)
    assert revisions(replay) == [1]
    assert replay.ignored == [str(third)]
    second.unlink()
    assert reopened(tmp_path).ignored == [str(third)]
    first.unlink()
    assert reopened(tmp_path, 0).ignored == [str(third)]
    assert revisions(reopened(tmp_path, 2)) == [3]
    assert revisions(reopened(tmp_path, None)) == [3]  # nothing tells where it began


def test_a_torn_segment_that_was_repaired_does_not_hide_the_next_run(tmp_path: Path) -> None:
    first = Journal(FlakyDisk(), str(tmp_path))
    first.open(0)
    first.append([change(1)])
    first.append([change(2)])
    first.close()
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes()[:-3])
    second = Journal(FlakyDisk(), str(tmp_path))
    assert revisions(second.open(0)) == [1]
    second.append([change(1000)])
    second.close()
    assert revisions(reopened(tmp_path)) == [1, 1000]


def test_a_commit_that_did_not_fit_is_gone_and_the_next_one_stands(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.append([change(1)])
    disk.fail = lambda name, _path: name == "append"
    with pytest.raises(OSError, match="No space left"):
        journal.append([change(2)])
    assert reopened(tmp_path).dropped_bytes == 0
    disk.fail = lambda _name, _path: False
    journal.append([change(2, "other")])
    assert revisions(reopened(tmp_path)) == [1, 2]


def test_nothing_is_appended_behind_a_torn_line(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.append([change(1)])
    disk.fail = lambda name, _path: name in {"append", "cut"}
    with pytest.raises(OSError, match="No space left"):
        journal.append([change(2)])
    disk.fail = lambda name, _path: name == "cut"
    disk.error = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        journal.append([change(2)])
    with pytest.raises(OSError, match="Input/output"):
        journal.sync()
    disk.fail = lambda _name, _path: False
    journal.append([change(2)])
    assert revisions(reopened(tmp_path)) == [1, 2]


def test_a_segment_that_cannot_be_begun_refuses_one_commit_alone(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    for operation in ("open", "cut"):
        disk.fail = lambda name, _path, operation=operation: name == operation
        with pytest.raises(OSError, match="No space left"):
            journal.append([change(1)])
    disk.fail = lambda _name, _path: False
    journal.append([change(1)])
    assert revisions(reopened(tmp_path)) == [1]


def test_a_commit_that_was_taken_back_is_gone(journal: Journal, tmp_path: Path) -> None:
    journal.append([change(1)])
    journal.sync()
    journal.append([change(2)])
    journal.sync()
    journal.take_back()
    assert journal.synced_revision == 1
    assert revisions(reopened(tmp_path)) == [1]
    journal.append([change(2, "other")])
    journal.sync()
    assert journal.synced_revision == 2
    ((_, first), (_, second)) = reopened(tmp_path).commits
    assert (first[0].key, second[0].key) == ("k", "other")


def test_a_commit_that_could_not_be_taken_back_gives_way_to_the_next_of_its_number(
    tmp_path: Path,
) -> None:
    for name, key in ((f"{1:020d}-{0:020d}.log", "refused"), (f"{2:020d}-{0:020d}.log", "kept")):
        journal = Journal(FlakyDisk(), str(tmp_path / key))
        journal.open(0)
        journal.append([change(1, key)])
        journal.close()
        (written,) = segments(tmp_path / key)
        written.rename(tmp_path / name)
    ((_, commit),) = reopened(tmp_path).commits
    assert commit[0].key == "kept"


def test_a_sync_covers_every_segment_and_its_name_once(
    journal: Journal, disk: FlakyDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 1)
    journal.append([change(1)])
    journal.append([change(2)])
    disk.done.clear()
    journal.sync()
    assert {path for name, path in disk.done if name == "sync"} == set(segments(tmp_path))
    disk.done.clear()
    journal.sync()
    assert disk.done == []  # nothing was appended since
    journal.append([change(3)])
    disk.fail = lambda name, _path: name == "sync"
    with pytest.raises(OSError, match="No space left"):
        journal.sync()
    assert journal.synced_revision == 2
    disk.fail = lambda _name, _path: False
    journal.sync()
    assert journal.synced_revision == 3


def test_a_segment_that_cannot_be_deleted_is_tried_again(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.append([change(1)])
    disk.fail = lambda name, _path: name == "remove"
    with pytest.raises(OSError, match="No space left"):
        journal.forget(1)
    journal_size = journal.bytes_total
    assert journal_size == segments(tmp_path)[0].stat().st_size
    disk.fail = lambda _name, _path: False
    journal.append([change(2)])
    journal.forget(1)
    assert revisions(reopened(tmp_path, 1)) == [2]
