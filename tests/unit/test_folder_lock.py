"""The lock of a folder: it excludes others, whichever way they take it."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from dunena.persistence.disk.folder_lock import FolderLock, FolderLockedError

posix = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX system's way of doing it")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_a_second_lock_is_refused_until_the_first_is_released(file: Path) -> None:
    first, second = FolderLock(file), FolderLock(file)
    first.acquire()
    for _ in range(2):
        with pytest.raises(FolderLockedError):
            second.acquire()
    first.release()
    first.release()
    second.acquire()
    with pytest.raises(FolderLockedError):
        first.acquire()
    second.release()
    assert file.exists(), "whoever waits for it must wait for the same file"


def test_it_and_the_lock_of_filelock_exclude_each_other(file: Path) -> None:
    lock, other = FolderLock(file), FileLock(file)
    lock.acquire()
    with pytest.raises(Timeout):
        other.acquire(blocking=False)
    lock.release()
    with other, pytest.raises(FolderLockedError):
        lock.acquire()


def test_the_lock_ends_with_its_process(file: Path) -> None:
    program = (
        "import sys, os\nfrom pathlib import Path\n"
        "from dunena.persistence.disk.folder_lock import FolderLock\n"
        "FolderLock(Path(sys.argv[1])).acquire()\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(file)], check=True)
    FolderLock(file).acquire()


@posix
def test_a_program_that_was_started_meanwhile_does_not_hold_the_lock(file: Path) -> None:
    lock = FolderLock(file)
    lock.acquire()
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    ) as program:
        lock.release()
        FolderLock(file).acquire()
        program.kill()


def test_a_file_that_cannot_be_opened_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="lock"):
        FolderLock(tmp_path / "missing" / "lock").acquire()


@posix
def test_a_system_without_such_locks_is_left_to_filelock(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    asked = []

    class Lock:
        def __init__(self, file: Path, **_: object) -> None:
            self._file = file

        def acquire(self, **_: object) -> None:
            asked.append(("acquire", self._file))

        def release(self) -> None:
            asked.append(("release", self._file))

    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr("filelock.FileLock", Lock)
    lock = FolderLock(file)
    lock.acquire()
    lock.release()
    assert asked == [("acquire", file), ("release", file)]


@posix
def test_other_failures_of_the_lock_are_errors_of_the_system(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks left")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="no locks left"):
        FolderLock(file).acquire()
