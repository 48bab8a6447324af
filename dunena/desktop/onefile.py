"""The life of a one-file executable, which unpacks itself into a folder and runs there.

On Linux and macOS a launcher unpacks it once per version, into the user's cache, and becomes the
program there (packaging/launcher): all that remains to be done is to load everything early.

On Windows a one-file executable (PyInstaller) is two processes. The parent unpacks everything into
a temporary folder (``_MEI...``), starts the executable again as its child, and removes the folder
when the child has ended. This module does the rest in the child: if the parent is killed, it ends
the program and removes the folder in its place; it also removes the folders of earlier killed runs.
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
"""Lock file in the unpacked folder, held by the process that runs from it: a folder whose lock is
free is abandoned."""

UNLOCKED_SECONDS_MAX = 600.0
"""Age from which a folder without a lock file counts as abandoned: unpacking takes seconds."""

PARENT_POLL_SECONDS = 0.25

EXIT_ORPHANED = 1

_PREFIX = "_MEI"


def unpacked_folder() -> Path | None:
    """Return the folder this program was unpacked into; None if it is no one-file executable."""
    folder = getattr(sys, "_MEIPASS", None)
    if folder is None or not Path(folder).name.startswith(_PREFIX):
        return None
    return Path(folder)


def is_apart() -> bool:
    """Return whether the program's files are elsewhere than the file that was started.

    Both may then be removed while it runs: a cleaner may take those that were unpacked, and an
    update replace the other.
    """
    folder = getattr(sys, "_MEIPASS", None)
    if folder is None:
        return False
    # A program that was not unpacked is beside its folder of files. The cache may well be below the
    # folder of the file that was started: both in the home folder, for example.
    started_in = Path(sys.executable).resolve().parent
    return unpacked_folder() is not None or started_in != Path(folder).resolve().parent


def restore_library_path() -> None:
    """Let programs that this one starts load the system's libraries.

    The parent sets the loader's search path to the unpacked folder and saves the former value in
    another variable. The loader of this process has read it already, so restoring the former value
    affects only programs started from now on.
    """
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH"):
        former = os.environ.pop(f"{name}_ORIG", None)
        if former is not None:
            os.environ[name] = former
        elif getattr(sys, "frozen", False):
            os.environ.pop(name, None)


class OneFileLife:
    """The background tasks of a one-file program, from `start` to `end`.

    ``folder`` is the unpacked folder. ``parent_gone`` is called, in another thread, when the parent
    was killed.
    """

    def __init__(self, folder: Path, parent_gone: Callable[[], None]) -> None:
        # Imported here, as most commands need no lock.
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
        """Lock the folder, watch the parent, and remove abandoned folders."""
        with suppress(OSError):  # filelock's Timeout is an OSError
            self._lock.acquire(blocking=False)
        self._watcher.start()
        self._sweeper.start()

    def end(self) -> None:
        """Remove the unpacked folder if the parent was killed, and so cannot do it.

        Windows does not remove files that are loaded. There the next start removes the folder: it
        recognizes it by its content, and by the lock, which the system releases.
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
    """Remove the folders that killed runs of this program left in ``temporary``; return them.

    A folder is removed only if it belongs to this user, was unpacked from a dunena, and its lock is
    free or, without a lock, it is too old to be still unpacking. ``own`` is left alone.
    """
    removed = []
    for folder in temporary.glob(f"{_PREFIX}*"):
        if folder != own and _is_abandoned(folder, now()):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed


def end_with_parent() -> None:
    """End the process when the parent is killed: for commands that run until they are stopped.

    Such a command may be ended at any point. Without this it would go on unseen, and a program that
    reads its output would wait for ever.
    """
    folder = unpacked_folder()
    if folder is not None:
        threading.Thread(target=_end, args=(folder,), name="dunena-parent", daemon=True).start()


def _end(folder: Path) -> None:
    wait_for_parent()
    if sys.platform != "win32":  # Windows does not remove files that are loaded
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(EXIT_ORPHANED)


def wait_for_parent() -> None:
    """Block until the parent process has ended."""
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
        # Links are left alone: their target was not unpacked by us.
        if folder.is_symlink() or not (folder / "dunena" / "web").is_dir():
            return False
        lock = folder / LOCK_NAME
        if not lock.exists():
            return now - status.st_mtime > UNLOCKED_SECONDS_MAX
        if lock.is_symlink():
            return False
        with FileLock(lock, blocking=False):
            return True
    except OSError:  # filelock's Timeout is an OSError
        return False


def _wait_for_process(process_id: int) -> None:
    """Block until a process on Windows has ended."""
    if sys.platform == "win32":
        import ctypes

        synchronize, infinite = 0x0010_0000, 0xFFFF_FFFF
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(synchronize, False, process_id)
        if handle:
            kernel.WaitForSingleObject(handle, infinite)
            kernel.CloseHandle(handle)


def reopen_standard_files() -> None:
    """Open the null device as standard input, output or error where these were closed.

    Otherwise the next file or socket would get their number, and would receive their output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
