"""Reading regular files only, without blocking on other kinds."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from dunena.plain_files import (
    FileKind,
    FileTooLargeError,
    NotPlainError,
    kind_at,
    read_plain,
    require_plain,
)

unix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none in folders")


def make(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(os.path.relpath(path))  # its path is short, or it cannot be bound
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.parent.joinpath("target").write_bytes(b"1")
        path.symlink_to("target")


def test_read_plain_reads_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(b"12345")
    assert read_plain(str(tmp_path / "k"), 5) == b"12345"
    assert kind_at(str(tmp_path / "k")) is FileKind.FILE
    assert kind_at(str(tmp_path / "missing")) is None
    assert kind_at(str(tmp_path / "k" / "below")) is None


def test_read_plain_raises_file_not_found_for_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_plain(str(tmp_path / "k"), 5)


@unix_only
@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device"])
def test_read_plain_refuses_what_is_no_regular_file_without_blocking(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(kind, tmp_path / "k")
    for action in (read_plain, require_plain):
        with pytest.raises(NotPlainError, match=f"a {kind}, not a plain file"):
            action(str(tmp_path / "k"), 5)


@unix_only
def test_read_plain_refuses_a_link_with_follow_false(tmp_path: Path) -> None:
    make("link", tmp_path / "k")
    assert read_plain(str(tmp_path / "k"), 5) == b"1"
    with pytest.raises(NotPlainError, match="a link, not a plain file"):
        read_plain(str(tmp_path / "k"), 5, follow=False)
    assert kind_at(str(tmp_path / "k")) is FileKind.LINK


def test_read_plain_refuses_a_file_over_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "k").open("wb") as file:
        file.truncate(2 << 30)  # takes no room
    for action in (read_plain, require_plain):
        with pytest.raises(FileTooLargeError, match="more than 1000 bytes"):
            action(str(tmp_path / "k"), 1000)


def test_read_plain_refuses_a_file_that_grows_over_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k"
    path.write_bytes(b"1")
    fstat = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            path.write_bytes(b"1" * 5000)
        return status

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(FileTooLargeError):
        read_plain(str(path), 1000)
