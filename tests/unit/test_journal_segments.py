"""The list of a journal's segments, and appending to the current one."""

import errno
import sys
from pathlib import Path

import pytest

from dunena.persistence.disk.journal_reader import Segment, base_path
from dunena.persistence.disk.journal_segments import (
    Segments,
    check_names,
    close_segment,
    force_segments,
    holds_commits,
)
from tests.support.kept import FlakyDisk


@pytest.fixture
def disk() -> FlakyDisk:
    return FlakyDisk()


@pytest.fixture
def segments(disk: FlakyDisk, tmp_path: Path) -> Segments:
    segments = Segments(disk, str(tmp_path))
    yield segments
    for segment in segments.listed:
        close_segment(segment)


def begin(segments: Segments, revision: int) -> Segment:
    return segments.begin(revision, revision - 1, forces=False)


def write_one(segments: Segments, revision: int) -> Segment:
    """Begin a segment with the one line of a commit."""
    segment = begin(segments, revision)
    segments.write(segment, b"line\n")
    segment.last_revision = revision
    return segment


def test_lines_are_appended_to_the_segment_begun_last(segments: Segments, tmp_path: Path) -> None:
    first = begin(segments, 1)
    assert (segments.current, segments.holds_lines) == (first, False)
    header = Path(first.path).read_bytes()
    segments.write(first, b"line\n")
    assert segments.holds_lines
    assert Path(first.path).read_bytes() == header + b"line\n"
    assert segments.size == segments.bytes_total == len(header) + 5
    second = begin(segments, 2)
    assert segments.listed == [first, second]
    assert (segments.current, segments.holds_lines) == (second, False)
    assert first.size == len(header) + 5
    assert segments.bytes_total == sum(path.stat().st_size for path in tmp_path.iterdir())
    segments.end_current()
    assert (segments.current, segments.size, segments.holds_lines) == (None, 0, False)
    assert segments.bytes_total == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_the_header_records_whether_files_are_forced(segments: Segments) -> None:
    first, second = begin(segments, 1), segments.begin(2, 1, forces=True)
    assert b"false" in Path(first.path).read_bytes()
    assert b"true" in Path(second.path).read_bytes()


def test_begin_replaces_a_segment_of_the_same_name(
    segments: Segments, disk: FlakyDisk, tmp_path: Path
) -> None:
    first = begin(segments, 1)
    header = Path(first.path).read_bytes()
    close_segment(first)  # Windows removes nothing that is open
    Path(first.path).write_bytes(b"what a crash left")
    again = begin(segments, 1)
    assert segments.listed == [again]
    assert Path(again.path).read_bytes() == header
    assert [str(path) for path in tmp_path.iterdir()] == [again.path]


def test_a_torn_line_is_truncated_at_once_or_by_cut_torn(
    segments: Segments, disk: FlakyDisk
) -> None:
    segment = begin(segments, 1)
    segments.write(segment, b"whole\n")
    whole = Path(segment.path).read_bytes()
    disk.fail = lambda name, _path: name == "append"
    with pytest.raises(OSError, match="No space left"):
        segments.write(segment, b"torn\n")
    assert (segments.is_torn, segments.size) == (False, len(whole))
    assert Path(segment.path).read_bytes() == whole
    disk.fail = lambda name, _path: name in {"append", "cut"}
    with pytest.raises(OSError, match="No space left"):
        segments.write(segment, b"torn\n")
    assert segments.is_torn
    assert len(Path(segment.path).read_bytes()) > len(whole)
    disk.fail = lambda _name, _path: False
    segments.cut_torn()
    assert not segments.is_torn
    assert Path(segment.path).read_bytes() == whole


def test_sweep_removes_a_segment_whose_header_failed(
    segments: Segments, disk: FlakyDisk, tmp_path: Path
) -> None:
    first = write_one(segments, 1)
    disk.fail = lambda name, path: name == "append" and "0002-" in str(path)
    with pytest.raises(OSError, match="No space left"):
        begin(segments, 2)
    disk.fail = lambda _name, _path: False
    assert (segments.listed, segments.current) == ([first], first)
    assert len(list(tmp_path.iterdir())) == 2
    segments.sweep()
    assert [str(path) for path in tmp_path.iterdir()] == [first.path]
    segments.sweep()
    assert Path(first.path).exists()


def test_end_superfluous_returns_the_oldest_segment_up_to_the_revision(segments: Segments) -> None:
    assert segments.oldest is None
    first = begin(segments, 1)
    assert segments.oldest is None, "the next segment would get its name"
    assert segments.end_superfluous(9) is None
    segments.write(first, b"line\n")
    first.last_revision = 1
    second = write_one(segments, 2)
    assert segments.oldest is first
    assert segments.end_superfluous(0) is None
    assert segments.end_superfluous(1) is first
    assert segments.current is second
    segments.listed.remove(first)
    close_segment(first)
    assert segments.end_superfluous(1) is None
    assert segments.end_superfluous(2) is second
    assert segments.current is None, "nothing more is appended to it"


def test_end_superfluous_truncates_a_torn_line_first(segments: Segments, disk: FlakyDisk) -> None:
    segment = write_one(segments, 1)
    whole = Path(segment.path).read_bytes()
    disk.fail = lambda name, _path: name in {"append", "cut"}
    with pytest.raises(OSError, match="No space left"):
        segments.write(segment, b"torn\n")
    with pytest.raises(OSError, match="No space left"):
        segments.end_superfluous(1)
    assert segments.current is segment
    disk.fail = lambda _name, _path: False
    assert segments.end_superfluous(1) is segment
    assert Path(segment.path).read_bytes() == whole


def test_a_base_is_listed_before_segments_with_later_revisions(
    segments: Segments, tmp_path: Path
) -> None:
    first, second, third = (write_one(segments, revision) for revision in (1, 2, 3))
    base = Segment(base_path(str(tmp_path), 2, 1), 2)
    segments.expect(base.path)
    Path(base.path).write_bytes(b"")
    segments.list_base(base)
    assert segments.listed == [first, second, base, third]
    segments.sweep()
    assert Path(base.path).exists()
    # The current one may have no commit of its own yet.
    latest = begin(segments, 4)
    segments.list_base(other := Segment(base_path(str(tmp_path), 3, 1), 3))
    assert segments.listed == [first, second, base, third, other, latest]


def test_a_base_is_listed_behind_all_that_it_replaces(segments: Segments, tmp_path: Path) -> None:
    taken_back = write_one(segments, 1)
    taken_back.last_revision = 5  # its last commits were taken back, and the next begins before
    replaced = write_one(segments, 2)
    segments.end_current()
    base = Segment(base_path(str(tmp_path), 3, 0), 3)
    segments.list_base(base)
    assert segments.listed == [replaced, base, taken_back]


def test_sweep_removes_a_base_that_was_not_listed(segments: Segments, tmp_path: Path) -> None:
    path = Path(base_path(str(tmp_path), 2, 1))
    segments.expect(str(path))
    path.write_bytes(b"half")
    segments.sweep()
    assert not path.exists()


def test_holds_commits_is_true_after_the_first_commit(
    segments: Segments,
) -> None:
    segment = begin(segments, 5)
    assert not holds_commits(segment)
    segment.last_revision = 5
    assert holds_commits(segment)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing that is open is moved there")
def test_check_names_raises_for_a_moved_or_replaced_segment(
    segments: Segments, disk: FlakyDisk
) -> None:
    first = write_one(segments, 1)
    check_names(disk, segments.listed)
    Path(first.path).rename(f"{first.path}-away")
    for _ in ("nothing", "another file"):
        with pytest.raises(FileNotFoundError, match="moved or removed") as raised:
            check_names(disk, segments.listed)
        assert raised.value.errno == errno.ENOENT
        Path(first.path).write_bytes(b"another")
    close_segment(first)
    check_names(disk, segments.listed)


def test_force_segments_syncs_all_and_closes_all_but_the_current(
    segments: Segments, disk: FlakyDisk
) -> None:
    first, second = write_one(segments, 1), write_one(segments, 2)
    disk.done.clear()
    force_segments(disk, segments.listed, segments.current)
    assert {path for name, path in disk.done if name == "sync"} == {
        Path(first.path),
        Path(second.path),
    }
    assert (first.file, second.file is None) == (None, False)
    assert first.is_named
    assert second.is_named
    disk.done.clear()
    force_segments(disk, segments.listed, segments.current)
    assert {path for name, path in disk.done if name == "sync"} == {Path(second.path)}
