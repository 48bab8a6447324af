"""Writing the base of a journal, which replaces all segments before it."""

from pathlib import Path

import pytest

from dunena.persistence.disk import journal_base
from dunena.persistence.disk.journal_base import base_lines, free_base_path, write_base
from dunena.persistence.disk.journal_reader import SUFFIX, read_journal
from dunena.persistence.disk.stamps import StampTable
from dunena.store.entry import Change, ChangeKind, Entry
from tests.support.kept import FlakyDisk


@pytest.fixture
def disk() -> FlakyDisk:
    return FlakyDisk()


def change(revision: int, key: str) -> Change:
    entry = Entry("n", key, b'"value"', None, revision)
    return Change(ChangeKind.SET, "n", key, revision, entry=entry)


def lines_of(path: str, base: int, *changes: Change) -> list[bytes]:
    return list(base_lines(path, base, changes, StampTable(), lambda: 0, forces=True))


def test_a_base_alone_is_read_as_the_whole_journal(disk: FlakyDisk, tmp_path: Path) -> None:
    folder = str(tmp_path)
    path = free_base_path(disk, folder, 9)
    segment = write_base(disk, path, 9, lines_of(path, 4, change(6, "a"), change(9, "b")))
    assert (segment.path, segment.last_revision, segment.file) == (path, 9, None)
    assert segment.size == Path(path).stat().st_size
    replay = read_journal(disk, folder, None, boot=None, last_boot=None)
    assert [[one.key for one in commit] for commit in replay.commits] == [["a"], ["b"]]
    assert (replay.base, replay.last_revision) == (4, 9)
    assert replay.is_forced


def test_a_base_without_its_end_is_ignored(disk: FlakyDisk, tmp_path: Path) -> None:
    path = free_base_path(disk, str(tmp_path), 9)
    write_base(disk, path, 9, lines_of(path, 4, change(6, "a"))[:-1])
    assert read_journal(disk, str(tmp_path), 4, boot=None, last_boot=None).is_empty


def test_the_name_of_a_base_sorts_after_existing_names(disk: FlakyDisk, tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        path = Path(free_base_path(disk, str(tmp_path), 9))
        path.write_bytes(b"")
        names.append(path.name)
    assert names == sorted(set(names))
    earlier = [f"{revision:020d}-{revision - 1:020d}{SUFFIX}" for revision in (8, 9)]
    assert sorted([*earlier, *names]) == [*earlier, *names]


def test_a_base_is_written_in_portions_and_synced_with_its_folder(
    disk: FlakyDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_base, "WRITE_BYTES", 10)
    path = str(tmp_path / "base.log")
    segment = write_base(disk, path, 1, [b"1234\n", b"1234\n", b"12345678901\n", b"1\n"])
    assert Path(path).read_bytes() == b"1234\n1234\n12345678901\n1\n"
    assert segment.size == 24
    assert [name for name, _ in disk.done if name == "append"] == ["append"] * 3
    assert disk.done[-1][0] == "sync"
    assert {one for name, one in disk.done if name == "sync"} >= {Path(path), tmp_path}
