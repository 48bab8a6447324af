"""The engine's two threads: one brings files up to date, one forces the journal to the device."""

import logging
import math
import threading
import time
from collections.abc import Callable

SLOW_SYNC_SECONDS = 2.0
"""A sync that takes longer is said in the log, as Redis does: the device is not keeping up."""

SYNC_PERIOD_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Follower:
    """Calls ``step`` when it is due or when `wake` was called; ``step`` says when it is due next.

    ``step`` takes and gives seconds of the monotonic clock; None means not before `wake`.
    """

    def __init__(self, step: Callable[[float], float | None]) -> None:
        self._step = step
        self._wanted = threading.Event()
        self._next = math.inf  # when it steps by itself; inf while it steps, or without a due
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="dunena-files", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to do; may be called from any thread."""
        self._wanted.set()

    def wake_for(self, due: float) -> None:
        """There will be something to do; a thread that steps before it anyhow is left alone.

        Waking it costs both threads a switch, which is most of the price of a small commit.
        """
        if due < self._next:
            self._wanted.set()

    def close(self) -> None:
        """End the thread after the step it is in."""
        self._is_ending = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        due: float | None = None
        while True:
            self._wanted.wait(None if due is None else max(0.0, due - time.monotonic()))
            self._next = math.inf
            self._wanted.clear()
            if self._is_ending:
                return
            try:
                due = self._step(time.monotonic())
            except Exception:  # noqa: BLE001 - without this thread no file would ever follow
                _log.exception("files could not be brought up to date")
                due = time.monotonic() + SYNC_PERIOD_SECONDS
            self._next = math.inf if due is None else due


class Syncer:
    """Forces the journal to the device: once a second when ``is_periodic``, and when asked to.

    ``sync`` raises OSError; ``synced`` is told how each went, ``slow`` of one that took too long.
    """

    def __init__(
        self,
        sync: Callable[[], None],
        *,
        is_periodic: bool,
        synced: Callable[[OSError | None], None],
        slow: Callable[[float], None],
    ) -> None:
        self._sync = sync
        self._synced = synced
        self._slow = slow
        self._period = SYNC_PERIOD_SECONDS if is_periodic else None
        self._wanted = threading.Condition()
        self._waiting: list[Callable[[OSError | None], None]] = []
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="dunena-sync", daemon=True)
        self._thread.start()

    def request(self, done: Callable[[OSError | None], None]) -> None:
        """Sync everything written so far, then call ``done`` in the thread, with what failed."""
        with self._wanted:
            self._waiting.append(done)
            self._wanted.notify()

    def close(self) -> None:
        """Answer everything that was requested and end the thread."""
        with self._wanted:
            self._is_ending = True
            self._wanted.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wanted:
                if not self._waiting and not self._is_ending:
                    self._wanted.wait(self._period)
                waiting, self._waiting = self._waiting, []
                if self._is_ending and not waiting:
                    return
            if waiting or self._period is not None:
                failure = self._timed_sync()
                self._synced(failure)
                for done in waiting:
                    done(failure)

    def _timed_sync(self) -> OSError | None:
        began = time.monotonic()
        try:
            self._sync()
        except OSError as error:
            _log.error("the journal cannot be forced to the device: %s", error.strerror)
            return error
        seconds = time.monotonic() - began
        if seconds > SLOW_SYNC_SECONDS:
            _log.warning("forcing the journal to the device took %.1f s", seconds)
            self._slow(seconds)
        return None
