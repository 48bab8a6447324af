"""The journal: its lines and segments, and recovery after a crash."""

import errno
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from dunena.persistence.disk import journal as journal_module
from dunena.persistence.disk.disk import Stamp
from dunena.persistence.disk.journal import Journal
from dunena.persistence.disk.journal_format import (
    MAGIC,
    VERSION,
    FileStep,
    encode_line,
    lines_of,
    seed_of,
)
from dunena.persistence.disk.journal_reader import Replay
from dunena.persistence.disk.stamps import StampTable
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.store import Store
from tests.support.kept import FlakyDisk
from tests.support.stamp_tables import table_of


@pytest.fixture
def disk() -> FlakyDisk:
    return FlakyDisk()


@pytest.fixture
def journal(disk: FlakyDisk, tmp_path: Path) -> Journal:
    journal = Journal(disk, str(tmp_path), StampTable())
    journal.open(0)
    yield journal
    journal.close()


def change(revision: int, key: str = "k", value: bytes | None = b"1") -> Change:
    if value is None:
        return Change(ChangeKind.DELETE, "", key, revision)
    entry = Entry("", key, value, None, revision)
    return Change(ChangeKind.SET, "", key, revision, entry=entry)


def reopened(folder: Path, flushed: int | None = 0, *, is_same_boot: bool = False) -> Replay:
    journal = Journal(FlakyDisk(), str(folder), StampTable())
    replay = journal.open(flushed, "boot", "boot" if is_same_boot else None)
    journal.cut_torn_ends(replay)
    journal.close()
    return replay


def revisions(replay: Replay) -> list[int]:
    return [recorded.revision for commit in replay.commits for recorded in commit]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


def write_three_segments(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 1)
    for revision in (1, 2, 3):
        journal.append([change(revision)])
    journal.close()  # Windows removes nothing that is open


def test_a_journal_line_holds_a_checksum_and_the_changes_of_one_commit(
    journal: Journal, tmp_path: Path
) -> None:
    changes: list[Change] = []
    store = Store(changes.append)
    store.set("n", "k", b'{"a":18446744073709551615}', 99)
    store.delete("n", "k")
    store.set("", "t", b'"x"', 5)
    store.expire(5)
    store.set("", "u", b'"x"', 7, then=b'{"a":null}')
    store.clear()
    journal.append(changes)
    payloads = (
        b'["dunena-journal",3,false]',
        (
            b'[0,["set",1,"n","k",null,99,{"a":18446744073709551615}],["delete",2,"n","k",null],'
            b'["set",3,"","t",null,5,"x"],["expired",4,"","t",null],'
            b'["set",5,"","u",null,7,"x",{"a":null}],["clear",6,""]]'
        ),
    )
    (segment,) = segments(tmp_path)
    assert segment.name == f"{1:020d}-{0:020d}.log"
    seed = zlib.crc32(f"dunena-journal {segment.name}\n".encode())
    lines = [b"%08x %s\n" % (zlib.crc32(payload, seed), payload) for payload in payloads]
    assert segment.read_bytes() == b"".join(lines)
    (commit,) = reopened(tmp_path).commits
    assert [recorded.kind for recorded in commit] == [made.kind for made in changes]
    assert (commit[0].ns, commit[0].key, commit[0].expires_at) == ("n", "k", 99)
    assert commit[0].value == b'{"a":18446744073709551615}'
    assert commit[1].value is None
    assert [recorded.then for recorded in commit] == [None] * 4 + [b'{"a":null}', None]


def test_a_journal_of_version_2_is_read(journal: Journal, tmp_path: Path) -> None:
    journal.append([change(1)])
    (segment,) = segments(tmp_path)
    seed = seed_of(segment.name)
    commit = [0, ["set", 1, "", "a", None, None, 5], ["set", 2, "", "b", None, 99, [6]]]
    segment.write_bytes(encode_line(seed, [MAGIC, 2, True]) + encode_line(seed, commit))
    replay = reopened(tmp_path)
    assert replay.damages == []
    assert [(one.key, one.value, one.expires_at, one.then) for one in replay.commits[0]] == [
        ("a", b"5", None, None),
        ("b", b"[6]", 99, None),
    ]


def test_a_tail_torn_at_any_byte_is_dropped(journal: Journal, tmp_path: Path) -> None:
    journal.append([change(1)])
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    header = whole.index(b"\n") + 1
    journal.append([change(2), change(3, "l")])
    journal.close()  # Windows removes nothing that is open
    both = segment.read_bytes()
    for size in range(1, len(both)):
        segment.write_bytes(both[:size])
        replay = reopened(tmp_path)
        kept = max((end for end in (0, header, len(whole)) if size >= end), default=0)
        assert revisions(replay) == ([1] if kept == len(whole) else [])
        assert replay.dropped_bytes == size - kept
        assert (segment.stat().st_size if segment.exists() else 0) == kept
        assert reopened(tmp_path).dropped_bytes == 0  # the next run finds whole lines alone
        assert replay.damages == []


def test_a_flipped_bit_loses_only_its_own_commit(journal: Journal, tmp_path: Path) -> None:
    for revision in (1, 2, 3):
        journal.append([change(revision, value=b'"text"')])
    (segment,) = segments(tmp_path)
    text = segment.read_bytes()
    ends = [position for position, byte in enumerate(text) if byte == ord("\n")]
    for position in range(len(text)):
        segment.write_bytes(text[:position] + bytes([text[position] ^ 1]) + text[position + 1 :])
        replay = reopened(tmp_path, is_same_boot=True)
        hit = next(number for number, end in enumerate(ends) if position <= end)
        lost = {hit, hit + 1} if position == ends[hit] else {hit}
        assert revisions(replay) == [number for number in (1, 2, 3) if number not in lost]
        if not lost & {3}:
            assert [damage.path for damage in replay.damages] == [str(segment)]
            assert replay.damaged == [str(segment)]  # of which a copy is kept
        assert segment.exists()


def test_a_broken_line_before_the_synced_end_is_reported_as_damage(
    journal: Journal, tmp_path: Path
) -> None:
    journal.append([change(1)])
    journal.append([change(2)])
    journal.sync()
    journal.append([change(3)])
    journal.append([change(4)])
    (segment,) = segments(tmp_path)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([lines[0], b"x" + lines[1][1:], *lines[2:]]))
    assert revisions(reopened(tmp_path)) == [2, 3, 4]
    # But what was not there may be lost in any order.
    segment.write_bytes(b"".join([*lines[:3], b"x" + lines[3][1:], lines[4]]))
    replay = reopened(tmp_path)
    assert revisions(replay) == [1, 2]
    assert replay.damaged == [str(segment)]  # what is cut away has whole lines in it


def test_a_line_is_valid_only_in_its_own_segment(journal: Journal, tmp_path: Path) -> None:
    journal.append([change(1)])
    journal.close()  # Windows moves nothing that is open
    (segment,) = segments(tmp_path)
    segment.rename(tmp_path / f"{2:020d}-{0:020d}.log")
    replay = reopened(tmp_path)
    assert revisions(replay) == []
    assert len(replay.unreadable) == 1


def test_a_segment_of_another_version_is_reported_and_left_unchanged(
    journal: Journal, tmp_path: Path
) -> None:
    journal.append([change(1)])
    (segment,) = segments(tmp_path)
    seed = seed_of(segment.name)
    newer = encode_line(seed, [MAGIC, VERSION + 1, True]) + encode_line(seed, [["?"]])
    for other in (newer, b"something else\n", bytes(100) + b"\n"):
        segment.write_bytes(other)
        replay = reopened(tmp_path)
        assert replay.unreadable == [str(segment)]
        assert [damage.path for damage in replay.damages] == [str(segment)]
        assert segment.read_bytes() == other


def test_segments_roll_over_and_are_deleted_once_all_their_commits_are_in_files(
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


def test_a_deleted_segment_that_reappears_is_not_replayed(journal: Journal, tmp_path: Path) -> None:
    journal.append([change(1)])
    (segment,) = segments(tmp_path)
    text = segment.read_bytes()
    journal.forget(1)
    journal.append([change(2)])
    segment.write_bytes(text)
    assert revisions(reopened(tmp_path, 1)) == [2]


def test_segments_after_a_gap_are_ignored_after_a_power_cut(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_three_segments(journal, monkeypatch)
    first, second, third = segments(tmp_path)
    text = second.read_bytes()
    second.write_bytes(text[:-1])
    replay = reopened(tmp_path)
    assert revisions(replay) == [1]
    assert replay.unreadable == [str(third)]
    second.unlink()
    assert reopened(tmp_path).unreadable == [str(third)]
    first.unlink()
    assert reopened(tmp_path, 0).unreadable == [str(third)]
    assert revisions(reopened(tmp_path, 2)) == [3]
    assert revisions(reopened(tmp_path, None)) == [3]  # nothing tells where it began


def test_a_missing_segment_is_reported_when_later_ones_are_replayed(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_three_segments(journal, monkeypatch)
    segments(tmp_path)[1].unlink()
    replay = reopened(tmp_path, is_same_boot=True)
    assert revisions(replay) == [1, 3]
    assert len(replay.damages) == 1
    assert replay.unreadable == []


def test_a_repaired_torn_segment_does_not_hide_the_next_runs_commits(tmp_path: Path) -> None:
    first = Journal(FlakyDisk(), str(tmp_path), StampTable())
    first.open(0)
    first.append([change(1)])
    first.append([change(2)])
    first.close()
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes()[:-3])
    second = Journal(FlakyDisk(), str(tmp_path), StampTable())
    replay = second.open(0)
    second.cut_torn_ends(replay)
    assert revisions(replay) == [1]
    second.append([change(1000)])
    second.close()
    assert revisions(reopened(tmp_path)) == [1, 1000]


def test_a_failed_append_is_undone_and_the_next_commit_is_kept(
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


def test_no_commit_is_appended_after_a_torn_line(
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


def test_a_failure_to_start_a_segment_refuses_one_commit_only(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    for operation in ("open", "append"):
        disk.fail = lambda name, _path, operation=operation: name == operation
        with pytest.raises(OSError, match="No space left"):
            journal.append([change(1)])
    disk.fail = lambda _name, _path: False
    journal.append([change(1)])
    assert revisions(reopened(tmp_path)) == [1]


def test_a_commit_taken_back_is_not_replayed(journal: Journal, tmp_path: Path) -> None:
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
    first, second = reopened(tmp_path).commits
    assert (first[0].key, second[0].key) == ("k", "other")


def test_the_removal_of_a_commit_is_synced(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.append([change(1)])
    journal.sync()
    journal.append([change(2)])
    journal.take_back()
    disk.done.clear()
    journal.sync()
    assert ("sync", segments(tmp_path)[0]) in disk.done
    disk.done.clear()
    journal.sync()
    assert disk.done == []


def test_the_journal_is_rewritten_when_a_commit_cannot_be_taken_back(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.append([change(1, "refused")])
    disk.fail = lambda name, _path: name == "append"
    with pytest.raises(OSError, match="No space left"):
        journal.take_back()
    disk.fail = lambda _name, _path: False
    with pytest.raises(OSError, match="No space left"):
        journal.append([change(1, "kept")])
    journal.renew(0, journal.end_segment(), [])
    assert revisions(reopened(tmp_path)) == []
    journal.append([change(1, "kept")])
    (commit,) = reopened(tmp_path).commits
    assert commit[0].key == "kept"


def test_a_sync_forces_every_unsynced_segment_once(
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


def test_commits_are_refused_after_a_failed_sync_until_a_rewrite(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.forces = True
    journal.append([change(1)])
    disk.fail = lambda name, _path: name == "sync"
    with pytest.raises(OSError, match="No space left"):
        journal.sync()
    disk.fail = lambda _name, _path: False
    # The system may have forgotten what it could not write: the next sync would not tell.
    for again in (journal.sync, lambda: journal.append([change(2)])):
        with pytest.raises(OSError, match="No space left"):
            again()
    revision = journal.end_segment()
    disk.done.clear()
    journal.renew(0, revision, [change(1)])
    (segment,) = segments(tmp_path)
    assert ("sync", segment) in disk.done
    assert journal.synced_revision == 1
    journal.append([change(2)])
    assert revisions(reopened(tmp_path)) == [1, 2]


def test_a_base_segment_replaces_earlier_ones_only_when_complete(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    for revision in (1, 2, 3):
        journal.append([change(revision, f"k{revision}")])
    revision = journal.end_segment()
    disk.fail = lambda name, _path: name == "remove"
    with pytest.raises(OSError, match="No space left"):
        journal.renew(1, revision, [change(3, "k3")])
    disk.fail = lambda _name, _path: False
    journal.append([change(4)])
    first, base, last = segments(tmp_path)
    text = base.read_bytes()
    assert revisions(reopened(tmp_path)) == [3, 4]
    first.write_bytes(b"")
    assert revisions(reopened(tmp_path)) == [3, 4]
    base.write_bytes(text[:-4])  # not whole, and nothing else is there
    replay = reopened(tmp_path)
    assert 3 not in revisions(replay)
    assert last.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="nothing that is open is removed there")
def test_check_and_append_raise_when_the_segment_was_removed(
    journal: Journal, tmp_path: Path
) -> None:
    journal.append([change(1)])
    journal.check()
    segments(tmp_path)[0].unlink()
    with pytest.raises(FileNotFoundError, match="moved or removed"):
        journal.check()
    with pytest.raises(FileNotFoundError, match="moved or removed"):
        journal.append([change(2)])


def test_forget_retries_a_segment_that_could_not_be_deleted(
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


def test_a_complete_base_segment_is_not_taken_for_an_incomplete_one(
    journal: Journal, tmp_path: Path
) -> None:
    journal.append([change(1, "a")])
    (first,) = segments(tmp_path)
    earlier = first.read_bytes()
    journal.append([change(2, "b")])
    journal.end_segment()
    journal.renew(0, 2, [change(1, "a"), change(2, "b")])
    (base,) = segments(tmp_path)
    lines = base.read_bytes().splitlines(keepends=True)
    base.write_bytes(b"".join([lines[0], b"x" + lines[1][1:], *lines[2:]]))
    first.write_bytes(earlier)  # a power cut brought it back
    replay = reopened(tmp_path, is_same_boot=True)
    assert revisions(replay) == [1, 2]
    assert replay.damaged == [str(base)]
    first.write_bytes(earlier)
    replay = reopened(tmp_path)
    assert revisions(replay) == [1]  # who knows what of it was on the device
    assert replay.unreadable == [str(base)]
    # Where those before it reach as far as it does, nobody misses it.
    first.write_bytes(b"")
    assert reopened(tmp_path, 2).useless == [str(first), str(base)]


@pytest.mark.parametrize("order", [(1, 2, 4, 3, 5), (1, 5, 3, 4, 2), (1, 2, 3, 2, 4, 5)])
def test_reordered_or_duplicated_lines_lose_no_commit_and_are_reported(
    journal: Journal, tmp_path: Path, order: tuple[int, ...]
) -> None:
    for revision in range(1, 6):
        journal.append([change(revision)])
    (segment,) = segments(tmp_path)
    header, *lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([header, *(lines[number - 1] for number in order)]))
    replay = reopened(tmp_path, is_same_boot=True)
    assert revisions(replay) == [1, 2, 3, 4, 5]
    assert replay.damaged == [str(segment)]
    assert [damage.path for damage in replay.damages] == [str(segment)]


@pytest.mark.parametrize("what", ["empty", "link", "pipe", "folder", "sparse"])
def test_a_file_in_place_of_a_segment_is_reported_and_kept(
    journal: Journal, tmp_path: Path, what: str
) -> None:
    if sys.platform == "win32" and what != "empty":
        pytest.skip("Windows has no such things")
    journal.append([change(1)])
    journal.close()  # Windows moves nothing that is open
    (segment,) = segments(tmp_path)
    segment.rename(tmp_path / "elsewhere")
    if what == "empty":
        segment.write_bytes(b"")
    elif what == "link":
        segment.symlink_to("elsewhere")
    elif what == "pipe":
        os.mkfifo(segment)
    elif what == "folder":
        segment.mkdir()
    else:
        segment.write_bytes(b"")
        os.truncate(segment, 1 << 40)
    replay = reopened(tmp_path, is_same_boot=True)
    assert revisions(replay) == []
    assert replay.unreadable == [str(segment)]
    assert [damage.path for damage in replay.damages] == [str(segment)]


A, B = Stamp(1, 2, 3), Stamp(4, 5, 6)
STEPS = [FileStep(("", "k"), A, B), FileStep(("n", "j"), None, None)]


def lines(path: Path) -> list[list[Any]]:
    """What the lines of a segment say, of which all must be whole."""
    found = [line.members for line in lines_of(path.name, path.read_bytes())]
    assert None not in found
    return found


def test_a_new_journal_is_empty(disk: FlakyDisk, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = Journal(disk, str(folder), StampTable())
    journal.open(7)
    assert folder.is_dir()
    assert journal.folder == str(folder)
    assert (journal.last_revision, journal.synced_revision) == (7, 7)
    assert (journal.failure, journal.forces, journal.bytes_total) == (None, False, 0)
    assert journal.oldest_end == float("inf")
    assert journal.sync() is False
    journal.close()


def test_a_commit_has_file_stamps_and_wall_clock_deadlines(disk: FlakyDisk, tmp_path: Path) -> None:
    journal = Journal(disk, str(tmp_path), table_of({("", "k"): A}), lambda: 100)
    journal.open(0)
    journal.forces = True
    entry = Entry("", "k", b"1", 5, 1)
    journal.append([Change(ChangeKind.SET, "", "k", 1, entry=entry)])
    journal.sync()
    journal.append([change(2, "j")])
    journal.close()
    (segment,) = segments(tmp_path)
    assert lines(segment) == [
        [MAGIC, VERSION, True],
        [0, ["set", 1, "", "k", list(A), 105, 1]],
        [1, ["set", 2, "", "j", None, None, 1]],
    ]


def test_deadlines_are_unchanged_without_a_clock_step(journal: Journal, tmp_path: Path) -> None:
    entry = Entry("", "k", b"1", 5, 1)
    journal.append([Change(ChangeKind.SET, "", "k", 1, entry=entry)])
    assert lines(segments(tmp_path)[0])[1] == [0, ["set", 1, "", "k", None, 5, 1]]


def test_notes_on_files_are_appended(journal: Journal, tmp_path: Path) -> None:
    journal.plan(STEPS)
    journal.carried_out(STEPS)
    journal.found_by_hand(STEPS)
    (segment,) = segments(tmp_path)
    assert segment.name == f"{1:020d}-{0:020d}.log"
    assert lines(segment)[1:] == [
        ["plan", ["", "k", list(A), list(B)], ["n", "j", None, None]],
        ["shown", ["", "k", list(B)], ["n", "j", None]],
        ["by hand", ["", "k", list(B)], ["n", "j", None]],
    ]
    assert journal.last_revision == 0


def test_notes_are_synced_on_request_or_with_changes(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    def forced(*, with_notes: bool = False) -> tuple[bool, bool]:
        disk.done.clear()
        return journal.sync(with_notes=with_notes), disk.done != []

    journal.append([change(1)])
    assert forced() == (True, True)
    assert forced(with_notes=True) == (False, False)
    journal.plan(STEPS)
    assert forced() == (False, False)
    assert forced() == (False, False)
    assert forced(with_notes=True) == (True, True), "they were not forgotten meanwhile"
    assert forced(with_notes=True) == (False, False)
    journal.plan(STEPS)
    journal.append([change(2)])
    assert forced() == (True, True)
    assert forced(with_notes=True) == (False, False), "they went with the change"


def test_last_revision_is_the_last_of_each_commit(journal: Journal) -> None:
    journal.append([change(1), change(2)])
    assert (journal.last_revision, journal.synced_revision, journal.oldest_end) == (2, 0, 2)
    assert journal.sync() is True
    assert journal.synced_revision == 2
    journal.append([change(3), change(4)])
    assert journal.oldest_end == 4
    journal.take_back()
    assert (journal.last_revision, journal.synced_revision, journal.oldest_end) == (2, 2, 2)
    assert journal.sync() is True, "that it was taken back"
    assert journal.sync() is False


def test_a_commit_that_was_forced_and_is_taken_back_is_not_on_the_device(
    journal: Journal, tmp_path: Path
) -> None:
    journal.append([change(1)])
    journal.append([change(2), change(3)])
    journal.sync()
    journal.take_back()
    assert (journal.last_revision, journal.synced_revision) == (1, 1)
    assert lines(segments(tmp_path)[0])[-1] == ["back", 2]
    journal.append([change(2, "other")])
    assert lines(segments(tmp_path)[0])[-1] == [1, ["set", 2, "", "other", None, None, 1]]


def test_a_sync_does_not_cover_a_commit_taken_back_meanwhile(
    journal: Journal, disk: FlakyDisk
) -> None:
    journal.append([change(1)])

    def take_back_meanwhile(name: str, _path: Path) -> bool:
        if name == "sync" and journal.last_revision == 1:
            journal.take_back()
            journal.append([change(1, "other")])
        return False

    disk.fail = take_back_meanwhile
    journal.sync()
    assert journal.synced_revision == 0
    disk.fail = lambda _name, _path: False
    assert journal.sync() is True
    assert journal.synced_revision == 1


def test_take_back_of_a_commit_in_an_ended_segment_writes_nothing(
    journal: Journal, tmp_path: Path
) -> None:
    journal.append([change(1)])
    journal.append([change(2)])
    journal.end_segment()
    size = segments(tmp_path)[0].stat().st_size
    journal.take_back()
    assert journal.last_revision == 1
    assert segments(tmp_path)[0].stat().st_size == size
    assert journal.failure is None


@pytest.mark.parametrize("room", [0, 1])
def test_a_commit_that_does_not_fit_begins_the_next_segment(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    journal.append([change(1)])
    (segment,) = segments(tmp_path)
    size = segment.stat().st_size
    line = size - segment.read_bytes().index(b"\n") - 1
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", size + line - 1 + room)
    journal.append([change(2)])
    assert len(segments(tmp_path)) == (1 if room else 2)
    assert revisions(reopened(tmp_path)) == [1, 2]
    if not room:
        assert segments(tmp_path)[1].name == f"{2:020d}-{1:020d}.log"
        assert journal.oldest_end == 1


def test_a_commit_larger_than_a_segment_is_appended_to_an_empty_one(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 10)
    journal.plan(STEPS)
    journal.append([change(1)])
    assert len(segments(tmp_path)) == 1


def test_end_segment_ends_only_a_segment_with_a_commit(journal: Journal, tmp_path: Path) -> None:
    assert journal.end_segment() == 0
    journal.plan(STEPS)
    assert journal.end_segment() == 0
    journal.append([change(1)])
    assert len(segments(tmp_path)) == 1
    assert journal.end_segment() == 1
    journal.append([change(2)])
    assert [path.name for path in segments(tmp_path)] == [
        f"{1:020d}-{0:020d}.log", f"{2:020d}-{1:020d}.log",
    ]  # fmt: skip


def test_a_torn_line_is_truncated_before_its_segment_ends(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.append([change(1)])
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    disk.fail = lambda name, _path: name in {"append", "cut"}
    with pytest.raises(OSError, match="No space left"):
        journal.append([change(2)])
    disk.fail = lambda _name, _path: False
    assert len(segment.read_bytes()) > len(whole)
    journal.end_segment()
    assert segment.read_bytes() == whole
    assert journal.bytes_total == len(whole)


def test_a_base_has_one_line_for_each_change(disk: FlakyDisk, tmp_path: Path) -> None:
    journal = Journal(disk, str(tmp_path), table_of({("", "a"): A}), lambda: 7)
    journal.open(0)
    journal.append([change(1)])
    journal.append([change(2)])
    journal.append([change(3)])
    assert journal.end_segment() == 3
    entry = Entry("", "a", b"1", 5, 2)
    kept = [Change(ChangeKind.SET, "", "a", 2, entry=entry), change(3, "b")]
    journal.append([change(4)])
    journal.forces = True
    journal.renew(1, 3, kept)
    base, later = segments(tmp_path)
    assert lines(base) == [
        [MAGIC, VERSION, True],
        ["base", 1],
        [0, ["set", 2, "", "a", list(A), 12, 1]],
        [0, ["set", 3, "", "b", None, None, 1]],
        ["end"],
    ]
    assert base.name == f"{3:020d}-base-0001.log"
    assert journal.bytes_total == base.stat().st_size + later.stat().st_size
    assert journal.oldest_end == 3
    assert (journal.last_revision, journal.synced_revision) == (4, 0)
    journal.end_segment()
    journal.renew(4, 4, [])
    assert [path.name for path in segments(tmp_path)] == [f"{4:020d}-base-0001.log"]
    journal.forget(3)
    assert len(segments(tmp_path)) == 1
    journal.forget(4)
    assert segments(tmp_path) == []
    journal.close()


def test_renew_keeps_segments_with_later_revisions(journal: Journal, tmp_path: Path) -> None:
    journal.append([change(1)])
    journal.end_segment()
    journal.append([change(2)])
    journal.end_segment()
    journal.append([change(3)])
    journal.renew(0, 1, [change(1, "kept")])
    assert [path.name for path in segments(tmp_path)] == [
        f"{1:020d}-base-0001.log", f"{2:020d}-{1:020d}.log", f"{3:020d}-{2:020d}.log",
    ]  # fmt: skip
    commits = reopened(tmp_path).commits
    assert [(commit[0].revision, commit[0].key) for commit in commits] == [
        (1, "kept"), (2, "k"), (3, "k"),
    ]  # fmt: skip


def test_renew_after_a_failure_replaces_all_segments_and_syncs_the_folder(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.append([change(1)])
    journal.append([change(2)])
    disk.fail = lambda name, _path: name == "sync"
    with pytest.raises(OSError, match="No space left") as caught:
        journal.sync()
    assert journal.failure is caught.value
    disk.fail = lambda _name, _path: False
    journal.take_back()
    journal.end_segment()
    disk.done.clear()
    journal.renew(0, journal.last_revision, [change(1)])
    assert disk.done[-1] == ("sync", tmp_path)
    assert [path.name for path in segments(tmp_path)] == [f"{1:020d}-base-0001.log"]
    assert (journal.failure, journal.synced_revision, journal.last_revision) == (None, 1, 1)
    assert revisions(reopened(tmp_path)) == [1]


def test_failure_is_the_first_error(journal: Journal, disk: FlakyDisk) -> None:
    journal.append([change(1)])
    disk.fail = lambda name, _path: name == "sync"
    with pytest.raises(OSError, match="No space left"):
        journal.sync()
    first = journal.failure
    disk.fail = lambda name, _path: name in {"append", "cut"}
    disk.error = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        journal.take_back()
    assert journal.failure is first


def test_a_failed_take_back_sets_failure(journal: Journal, disk: FlakyDisk) -> None:
    journal.append([change(1)])
    disk.fail = lambda name, _path: name in {"append", "cut"}
    with pytest.raises(OSError, match="No space left") as caught:
        journal.take_back()
    assert journal.failure is caught.value
    assert journal.last_revision == 0


def test_cut_torn_ends_truncates_and_syncs_the_segments(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_three_segments(journal, monkeypatch)
    first, second, third = segments(tmp_path)
    whole = third.read_bytes()
    third.write_bytes(whole + b"torn")
    disk = FlakyDisk()
    again = Journal(disk, str(tmp_path), StampTable())
    replay = again.open(0)
    assert third.read_bytes() == whole + b"torn", "nothing is changed by reading"
    again.cut_torn_ends(replay)
    assert third.read_bytes() == whole
    assert {path for name, path in disk.done if name == "sync"} == {
        tmp_path, first, second, third,
    }  # fmt: skip
    assert again.bytes_total == sum(path.stat().st_size for path in segments(tmp_path))
    again.close()


def test_cut_torn_ends_removes_a_segment_without_whole_lines(tmp_path: Path) -> None:
    first = tmp_path / f"{1:020d}-{0:020d}.log"
    seed = seed_of(first.name)
    first.write_bytes(b"torn\n" + encode_line(seed, [0, ["delete", 1, "", "k", None]]))
    disk = FlakyDisk()
    journal = Journal(disk, str(tmp_path), StampTable())
    replay = journal.open(0)
    assert replay.torn[0].size == 0
    journal.cut_torn_ends(replay)
    assert segments(tmp_path) == []
    assert {path for name, path in disk.done if name == "sync"} == {tmp_path}
    assert journal.bytes_total == 0
    journal.close()


def test_open_removes_useless_segments(tmp_path: Path) -> None:
    (tmp_path / f"{1:020d}-{0:020d}.log").write_bytes(b"torn")
    Journal(FlakyDisk(), str(tmp_path), StampTable()).open(0)
    assert segments(tmp_path) == []


def test_close_removes_a_segment_without_a_line(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.append([change(1)])
    disk.fail = lambda name, _path: name == "append"
    journal.end_segment()
    with pytest.raises(OSError, match="No space left"):
        journal.append([change(2)])
    disk.fail = lambda _name, _path: False
    journal.close()
    assert [path.name for path in segments(tmp_path)] == [f"{1:020d}-{0:020d}.log"]


def test_close_removes_a_segment_with_only_its_header(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    appends = []

    def fail_second(name: str, _path: Path) -> bool:
        if name == "append":
            appends.append(name)
        return len(appends) == 2 and name == "append"

    disk.fail = fail_second
    with pytest.raises(OSError, match="No space left"):
        journal.append([change(1)])
    assert len(segments(tmp_path)) == 1, "it has its first line"
    assert journal.oldest_end == float("inf")
    journal.close()
    assert segments(tmp_path) == []


def test_close_succeeds_when_leftover_files_cannot_be_removed(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    disk.fail = lambda name, _path: name == "append"
    with pytest.raises(OSError, match="No space left"):
        journal.append([change(1)])
    disk.fail = lambda name, _path: name == "remove"
    journal.close()
    assert len(segments(tmp_path)) == 1


def test_forget_removes_files_of_failed_attempts(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    disk.fail = lambda name, _path: name == "append"
    with pytest.raises(OSError, match="No space left"):
        journal.append([change(1)])
    with pytest.raises(OSError, match="No space left"):
        journal.renew(0, 0, [])
    disk.fail = lambda _name, _path: False
    assert len(segments(tmp_path)) == 2
    journal.forget(0)
    assert segments(tmp_path) == []


def test_an_ended_segment_is_synced_once_and_closed(
    journal: Journal, disk: FlakyDisk, tmp_path: Path
) -> None:
    journal.append([change(1)])
    journal.end_segment()
    journal.append([change(2)])
    first, second = segments(tmp_path)
    disk.done.clear()
    journal.sync()
    assert [path for name, path in disk.done if name == "sync"].count(first) >= 1
    journal.append([change(3)])
    disk.done.clear()
    journal.sync()
    assert disk.done == [("sync", second)]


def test_a_commit_that_begins_a_segment_has_wall_clock_deadlines(
    disk: FlakyDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 1)
    journal = Journal(disk, str(tmp_path), StampTable(), lambda: 100)
    journal.open(0)
    for revision in (1, 2):
        entry = Entry("", "k", b"1", 5, revision)
        journal.append([Change(ChangeKind.SET, "", "k", revision, entry=entry)])
    journal.close()
    assert [lines(one)[1][1][5] for one in segments(tmp_path)] == [105, 105]
