"""The journal: its lines and segments, and recovery after a crash."""

import errno
import os
import sys
import zlib
from pathlib import Path

import pytest

from dunena.persistence.disk import journal as journal_module
from dunena.persistence.disk.journal import Journal
from dunena.persistence.disk.journal_format import MAGIC, VERSION, encode_line, seed_of
from dunena.persistence.disk.journal_reader import Replay
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.store import Store
from tests.support.kept import FlakyDisk


@pytest.fixture
def disk() -> FlakyDisk:
    return FlakyDisk()


@pytest.fixture
def journal(disk: FlakyDisk, tmp_path: Path) -> Journal:
    journal = Journal(disk, str(tmp_path), {})
    journal.open(0)
    yield journal
    journal.close()


def change(revision: int, key: str = "k", value: bytes | None = b"1") -> Change:
    if value is None:
        return Change(ChangeKind.DELETE, "", key, revision)
    entry = Entry("", key, value, None, revision)
    return Change(ChangeKind.SET, "", key, revision, entry=entry)


def reopened(folder: Path, flushed: int | None = 0, *, is_same_boot: bool = False) -> Replay:
    journal = Journal(FlakyDisk(), str(folder), {})
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
    store.clear()
    journal.append(changes)
    payloads = (
        b'["dunena-journal",2,false]',
        (
            b'[0,["set",1,"n","k",null,99,{"a":18446744073709551615}],["delete",2,"n","k",null],'
            b'["set",3,"","t",null,5,"x"],["expired",4,"","t",null],["clear",5,""]]'
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
    first = Journal(FlakyDisk(), str(tmp_path), {})
    first.open(0)
    first.append([change(1)])
    first.append([change(2)])
    first.close()
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes()[:-3])
    second = Journal(FlakyDisk(), str(tmp_path), {})
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
