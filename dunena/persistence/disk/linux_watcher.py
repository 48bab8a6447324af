"""Watching a folder on Linux: reporting the paths that anything has touched.

Each folder of values is watched by itself and the private one is not: otherwise every line of the
journal would wake the watcher's thread, which costs more than writing the line.
"""

import errno
import os
import sys
import threading
import time

assert sys.platform == "linux", "it is there alone"  # mypy skips the rest for other systems

from dunena.persistence.disk.inotify import (  # noqa: E402
    DELETE_SELF,
    IGNORED,
    IS_FOLDER,
    MOVED_FROM,
    OVERFLOW,
    UNMOUNT,
    Inotify,
    InotifyEvent,
)
from dunena.persistence.disk.watcher_events import LONGEST_SECONDS, QUIET_SECONDS, Told  # noqa: E402

_FOREVER_MS = -1
_NO_FOLDER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES})
"""Errors of watching that are ignored: the folder is removed, no folder, a link or unreadable.
Reading the folder reports these."""

_ROOT_ENDS = DELETE_SELF | UNMOUNT | IGNORED


class LinuxWatcher:
    """Reports touched paths from a thread until `close`.

    Everything that happens after the constructor has returned is reported, or `Told.missed` is
    called. The constructor raises OSError if the system cannot watch.
    """

    def __init__(self, root: str, told: Told) -> None:
        self._root = os.fsencode(root) + b"/"
        self._told = told
        self._is_ending = False
        self._notify = Inotify()
        self._names: dict[int, bytes] = {}  # watch -> name of the folder; empty for the root
        self._watches: dict[bytes, int] = {}
        try:
            self._names[self._notify.watch(self._root)] = b""
            self._watch_all()
        except BaseException:
            self._notify.close()
            raise
        self._thread = threading.Thread(target=self._run, name="dunena-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching and wait until the thread has ended."""
        self._is_ending = True
        self._notify.wake()
        self._thread.join()
        self._notify.close()

    def _run(self) -> None:
        try:
            while not self._is_ending:
                if self._notify.wait(_FOREVER_MS):
                    self._take()
        except Exception as error:  # noqa: BLE001 - any failure must be reported
            self._told.ended(getattr(error, "strerror", None) or str(error))

    def _take(self) -> None:
        """Gather events until there are no more for a moment, and report their paths."""
        paths: set[bytes] = set()
        has_overflowed = False
        until = time.monotonic() + LONGEST_SECONDS
        is_quiet = False
        while not is_quiet and time.monotonic() < until:
            is_quiet = True
            for event in self._notify.read():
                is_quiet = False
                has_overflowed = has_overflowed or bool(event.mask & OVERFLOW)
                self._take_one(event, paths)
            # No event ends it: in a busy folder each would wake this thread by itself.
            if not is_quiet and not self._notify.rest(int(QUIET_SECONDS * 1000)):
                break
        if has_overflowed:
            self._watch_all()  # new folders may be among the lost events
            self._told.missed()
        if paths:
            self._told.touched({os.fsdecode(self._root + path) for path in paths})

    def _take_one(self, event: InotifyEvent, paths: set[bytes]) -> None:
        folder = self._names.get(event.watch)
        if folder is None:
            return  # an event of the queue itself, or of a folder that is no longer watched
        if not folder:
            self._take_of_root(event, paths)
        elif event.mask & IGNORED:
            self._forget(folder)
        elif event.name:
            paths.add(folder + b"/" + event.name)

    def _take_of_root(self, event: InotifyEvent, paths: set[bytes]) -> None:
        if event.mask & _ROOT_ENDS and not event.name:
            raise OSError(errno.ENOENT, "the folder was removed")
        if not event.name or event.name.startswith(b"."):
            return
        if event.mask & IS_FOLDER:
            if event.mask & MOVED_FROM:
                self._forget(event.name)
            else:  # watched before its content is read, so that nothing is missed
                self._watch(event.name)
        paths.add(event.name)

    def _watch_all(self) -> None:
        with os.scandir(self._root) as found:
            names = [
                item.name
                for item in found
                if not item.name.startswith(b".") and item.is_dir(follow_symlinks=False)
            ]
        for name in names:
            self._watch(name)

    def _watch(self, name: bytes) -> None:
        try:
            watch = self._notify.watch(self._root + name)
        except OSError as error:
            if error.errno in _NO_FOLDER:
                return
            if error.errno == errno.ENOSPC:
                reason = "the system watches no more folders (fs.inotify.max_user_watches)"
                raise OSError(error.errno, reason) from None
            raise
        before = self._watches.get(name)
        if before is not None and before != watch:
            self._forget(name)
        self._names[watch] = name
        self._watches[name] = watch

    def _forget(self, name: bytes) -> None:
        watch = self._watches.pop(name, None)
        if watch is not None and self._names.get(watch) == name:
            del self._names[watch]
            self._notify.unwatch(watch)
