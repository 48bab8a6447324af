"""What is to be on the device is asked of the system in the way that takes it there."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from dunena.persistence.disk import device
from dunena.persistence.disk.device import force
from dunena.persistence.disk.real_disk import RealDisk

FULL_SYNC = 51


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which calls forced files to the device."""
    calls: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: calls.append("fsync"))
    return calls


def fake_fcntl(
    monkeypatch: pytest.MonkeyPatch, calls: list[str], failure: OSError | None = None
) -> None:
    """macOS's, which may refuse."""

    def fcntl(_descriptor: int, command: int) -> int:
        assert command == FULL_SYNC
        calls.append("full")
        if failure is not None:
            raise failure
        return 0

    monkeypatch.setattr(device, "fcntl", SimpleNamespace(F_FULLFSYNC=FULL_SYNC, fcntl=fcntl))


def append_and_sync(folder: Path) -> None:
    file = RealDisk().append_to(str(folder / "journal"))
    file.append(b"line")
    file.sync()
    file.close()


def sync_names(folder: Path) -> None:
    (folder / "file").touch()
    RealDisk().sync({str(folder / "file")})


def replace(folder: Path) -> None:
    RealDisk().replace_file(str(folder / "k.json"), b"1", str(folder), sync=True)


@pytest.mark.parametrize("act", [append_and_sync, sync_names, replace])
def test_sync_uses_f_fullfsync_on_macos(
    act: Callable[[Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    synced: list[str],
) -> None:
    fake_fcntl(monkeypatch, synced)
    act(tmp_path)
    assert set(synced) == {"full"}


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.EINVAL, errno.ENOTTY])
def test_sync_falls_back_to_fsync_without_f_fullfsync(
    number: int, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    fake_fcntl(monkeypatch, synced, OSError(number, os.strerror(number)))
    force(0)
    assert synced == ["full", "fsync"]


def test_an_io_error_of_f_fullfsync_is_raised(
    monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    fake_fcntl(monkeypatch, synced, OSError(errno.EIO, os.strerror(errno.EIO)))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        force(0)
    assert synced == ["full"]


@pytest.mark.parametrize("system", [SimpleNamespace(), None])
def test_sync_uses_fsync_where_f_fullfsync_does_not_exist(
    system: object, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    monkeypatch.setattr(device, "fcntl", system)
    force(0)
    assert synced == ["fsync"]
