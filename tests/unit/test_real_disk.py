"""The machine's file system, where it is not as simple as it looks."""

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from dunena.persistence.disk.quarantine import set_aside
from dunena.persistence.disk.real_disk import RealDisk
from dunena.plain_files import NotPlainError, kind_at

unix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such things")


@pytest.fixture
def disk() -> RealDisk:
    return RealDisk()


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_replace_file_writes_the_content_and_returns_the_stamp(
    disk: RealDisk, tmp_path: Path, size: int
) -> None:
    path, content = str(tmp_path / "k.json"), os.urandom(size)
    Path(path).write_text("before")
    stamp = disk.replace_file(path, content, str(tmp_path), sync=True)
    assert disk.read_stamped(path) == (content, stamp)
    assert disk.stamp(path) == stamp
    assert os.listdir(tmp_path) == ["k.json"]  # noqa: PTH208 - the draft is gone


def test_a_draft_is_moved_into_place_or_discarded(disk: RealDisk, tmp_path: Path) -> None:
    target, drafts = tmp_path / "k.json", tmp_path / "tmp"
    drafts.mkdir()
    draft = disk.write_draft(str(target), b"1", str(drafts))
    assert not target.exists()
    assert disk.put_in_place(draft, str(target)) == draft.stamp == disk.stamp(str(target))
    disk.discard(disk.write_draft(str(target), b"22", str(drafts)))
    assert target.read_bytes() == b"1"
    assert list(drafts.iterdir()) == []


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.json"
    path.write_bytes(b"1")
    fstat = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        path.write_bytes(b"1" * 10)
        return status

    monkeypatch.setattr(os, "fstat", grow)
    content, stamp = disk.read_stamped(str(path))
    assert content == b"1" * 10
    assert stamp.size == 1  # of what was there before: the next look finds another file


def test_partial_writes_are_continued_to_the_end(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    disk.replace_file(str(tmp_path / "k"), b"0123456789", str(tmp_path), sync=False)
    file = disk.append_to(str(tmp_path / "k"))
    file.append(b"abcdefgh")
    file.close()
    assert (tmp_path / "k").read_bytes() == b"0123456789abcdefgh"


def test_a_failed_replacement_leaves_no_draft(disk: RealDisk, tmp_path: Path) -> None:
    target = tmp_path / "k.json"
    target.mkdir()
    (target / "in-the-way").touch()
    drafts = tmp_path / "tmp"
    drafts.mkdir()
    with pytest.raises(OSError, match="a folder, not a plain file"):
        disk.replace_file(str(target), b"1", str(drafts), sync=False)
    assert list(drafts.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_names_lists_files_and_folders_apart_from_links_and_pipes(
    disk: RealDisk, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "links").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    names = disk.names(str(tmp_path))
    assert names[:2] == (["folder"], ["file"])
    assert sorted(names.others) == ["link", "links", "pipe"]


@unix_only
def test_a_replaced_file_keeps_its_mode_and_owner(disk: RealDisk, tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    path.write_text("1")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    before = path.stat()
    stamp = disk.replace_file(str(path), b"22", str(tmp_path), sync=True)
    after = path.stat()
    assert path.read_bytes() == b"22"
    assert stamp == disk.stamp(str(path))
    assert after.st_ino != before.st_ino
    assert after[:1] + after[4:6] == before[:1] + before[4:6]  # mode, owner, group


@unix_only
def test_replace_file_succeeds_when_the_owner_cannot_be_kept(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.json"
    path.write_text("1")
    path.chmod(0o604)
    fstat = os.fstat

    def anothers(descriptor: int) -> os.stat_result:
        status = list(fstat(descriptor))
        status[4] += 1
        return os.stat_result(status)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "fstat", anothers)
    monkeypatch.setattr(os, "fchown", refuse)
    disk.replace_file(str(path), b"22", str(tmp_path), sync=False)
    assert path.read_bytes() == b"22"
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_file_that_is_a_mount_point_is_overwritten_in_place(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, drafts = tmp_path / "k.json", tmp_path / "tmp"
    drafts.mkdir()
    path.write_text("a longer one")
    inode = path.stat().st_ino

    replace = os.replace

    def busy(source: str, target: str) -> None:
        if str(path) in (source, target):
            raise OSError(errno.EBUSY, "busy")
        replace(source, target)

    monkeypatch.setattr(os, "replace", busy)
    assert disk.replace_file(str(path), b"22", str(drafts), sync=True) == disk.stamp(str(path))
    assert path.read_bytes() == b"22"
    assert path.stat().st_ino == inode
    assert list(drafts.iterdir()) == []
    copy = set_aside(disk, str(path), str(drafts))
    assert Path(copy).read_bytes() == b"22"


@unix_only
@pytest.mark.timeout(10)
def test_sync_does_not_block_on_pipes_links_and_terminals(disk: RealDisk, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "nowhere.json").symlink_to("elsewhere.json")
    (tmp_path / "terminal.json").symlink_to("/dev/tty")
    disk.sync({str(path) for path in tmp_path.iterdir()})
    disk.sync({str(tmp_path / "pipe.json" / "k.json")})  # where a namespace's folder was


@unix_only
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_links_pipes_and_folders_are_neither_replaced_nor_removed(
    disk: RealDisk, tmp_path: Path, kind: str
) -> None:
    path, drafts = tmp_path / "k.json", tmp_path / "tmp"
    drafts.mkdir()
    if kind == "link":
        path.symlink_to("elsewhere.json")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(NotPlainError, match=f"a {kind}, not a plain file"):
        disk.replace_file(str(path), b"1", str(drafts), sync=False)
    disk.remove(str(path))
    assert kind_at(str(path)) == f"a {kind}"
    assert list(drafts.iterdir()) == []
