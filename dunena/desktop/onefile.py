"""Life as one file: the program unpacks itself, runs from what it unpacked, and takes it away.

A one-file executable is two processes. The parent unpacks everything into a temporary folder
(``_MEI...``), starts itself again from there, and removes the folder when the child has ended.
What is left to the child, which is us: to stop when the parent was killed and to remove the folder
in its place, and to remove what killed runs before it left behind.
"""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LOCK_NAME = "dunena.lock"
"""Locked in the unpacked folder by the process that runs from it: a folder whose lock is free
belongs to nobody."""

UNLOCKED_SECONDS_MAX = 600.0
"""An unpacked folder without a lock this old was killed before it ran: unpacking takes seconds."""

PARENT_POLL_SECONDS = 0.25

EXIT_ORPHANED = 1

_PREFIX = "_MEI"


def unpacked_folder() -> Path | None:
    """Where this program was unpacked; None if it is not a one-file executable."""
    folder = getattr(sys, "_MEIPASS", None)
    if folder is None or not Path(folder).name.startswith(_PREFIX):
        return None
    return Path(folder)


def restore_library_path() -> None:
    """Give programs that we start their own libraries back.

    The parent points the loader at the unpacked folder and leaves the former value behind. Our
    own loader read it when we were started, so changing it now is for others alone.
    """
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH"):
        former = os.environ.pop(f"{name}_ORIG", None)
        if former is not None:
            os.environ[name] = former
        elif getattr(sys, "frozen", False):
            os.environ.pop(name, None)


class OneFileLife:
    """What a one-file program does besides its work, from `start` to `end`."""

    def __init__(self, folder: Path, parent_gone: Callable[[], None]) -> None:
        # Loaded here, as most commands need no lock and start the quicker for it.
        from filelock import FileLock

        self._folder = folder
        self._parent_gone = parent_gone
        self._lock = FileLock(folder / LOCK_NAME)
        self._is_orphan = False
        self._watcher = threading.Thread(target=self._watch, name="dunena-parent", daemon=True)
        self._sweeper = threading.Thread(
            target=sweep, args=(folder.parent, folder), name="dunena-sweep", daemon=True
        )

    def start(self) -> None:
        """Mark the folder as ours, watch the parent, sweep."""
        with suppress(OSError):  # filelock's Timeout is one
            self._lock.acquire(blocking=False)
        self._watcher.start()
        self._sweeper.start()

    def end(self) -> None:
        """The work is over: with nobody else left to do it, remove the folder.

        Windows lets go of nothing that is loaded. So there the next start sweeps, which knows the
        folder by what is in it, and that it is free by the lock: the system's to release.
        """
        if self._is_orphan and sys.platform == "win32":
            return
        with suppress(OSError):
            self._lock.release()
        if self._is_orphan:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _watch(self) -> None:
        wait_for_parent()
        self._is_orphan = True
        self._parent_gone()


def sweep(temporary: Path, own: Path, now: Callable[[], float] = time.time) -> list[Path]:
    """Remove folders that killed runs of this program left in ``temporary``; which ones.

    Only what is certainly ours and nobody's any more: a folder of this user, unpacked from a
    dunena, whose lock is free or which is too old to be still unpacking.
    """
    removed = []
    for folder in temporary.glob(f"{_PREFIX}*"):
        if folder != own and _is_abandoned(folder, now()):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed


def end_with_parent() -> None:
    """From now on, end when the parent is killed: for a command that goes on until it is stopped.

    What such a command does may be cut short anywhere. Else it would go on unseen, and whoever
    started it and reads what it prints would wait for ever.
    """
    folder = unpacked_folder()
    if folder is not None:
        threading.Thread(target=_end, args=(folder,), name="dunena-parent", daemon=True).start()


def _end(folder: Path) -> None:
    wait_for_parent()
    if sys.platform != "win32":  # there nothing that is loaded can be removed
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(EXIT_ORPHANED)


def wait_for_parent() -> None:
    """Return when the parent process is gone."""
    if sys.platform == "win32":
        _wait_for_process(os.getppid())
        return
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)


def _is_abandoned(folder: Path, now: float) -> bool:
    from filelock import FileLock

    try:
        status = folder.lstat()
        if sys.platform != "win32" and status.st_uid != os.getuid():
            return False
        # Links are left alone: what they lead to is not what was unpacked.
        if folder.is_symlink() or not (folder / "dunena" / "web").is_dir():
            return False
        lock = folder / LOCK_NAME
        if not lock.exists():
            return now - status.st_mtime > UNLOCKED_SECONDS_MAX
        if lock.is_symlink():
            return False
        with FileLock(lock, blocking=False):
            return True
    except OSError:  # filelock's Timeout is one
        return False


def _wait_for_process(process_id: int) -> None:
    """Return when a process of Windows is gone."""
    if sys.platform == "win32":
        import ctypes

        synchronize, infinite = 0x0010_0000, 0xFFFF_FFFF
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(synchronize, False, process_id)
        if handle:
            kernel.WaitForSingleObject(handle, infinite)
            kernel.CloseHandle(handle)


def reopen_standard_files() -> None:
    """Put the null device where standard input, output or error was closed.

    Otherwise the next file or socket would get its number, and be written to by who means them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
