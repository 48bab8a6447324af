"""The engine's two threads: one brings files up to date, one syncs the journal."""

import logging
import math
import threading
import time
from collections.abc import Callable

from dunena.persistence.disk import locks
from dunena.persistence.disk.locks import LockRank

SLOW_SYNC_SECONDS = 2.0
"""Duration from which on a sync is logged, as in Redis: the device is too slow."""

SYNC_PERIOD_SECONDS = 1.0

IDLE_SYNC_SECONDS = 5.0
"""The same while nothing is written: then only a journal that somebody removed is to be noticed."""

REST_SECONDS_MIN = 0.004
REST_SECONDS_MAX = 0.1
"""Rest between two steps: the shortest one, which doubles while commits keep arriving. Waking a
thread for every commit costs more than the rest of a small commit."""

STREAM_COMMITS_PER_SECOND = 400
"""Commits between two steps from which on they count as a stream. With fewer, every file is written
at once."""

REST_PER_WORK = 9
"""Rest per time of work during a stream: files then get a tenth of a processor. If a stream changes
more files than that permits, they are written later."""

LATE_SECONDS = 5.0
REST_PER_WORK_WHEN_LATE = 1
"""Delay of files from which on they get half a processor."""

_log = logging.getLogger(__name__)


class SystemTime:
    """The clocks of the two threads in seconds; tests replace them."""

    def monotonic(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()

    def thread_time(self) -> float:
        """Return the processor time of the calling thread in seconds."""
        return time.thread_time()

    def wait(
        self, signal: threading.Event | threading.Condition, seconds: float | None = None
    ) -> bool:
        """Wait for a signal, at most ``seconds`` (None: for ever); return whether it came."""
        return signal.wait(seconds)


class FileWriterThread:
    """A thread that calls ``step`` when there is work.

    ``step`` takes the time and returns when it is due next, both in monotonic seconds; None means
    not before `enqueue` or `wake`. It may do a part of the due work and return a past time for the
    rest. After a step for commits the thread rests for a set time, so that most commits of a stream
    need not wake it.
    """

    def __init__(
        self, step: Callable[[float], float | None], clock: SystemTime | None = None
    ) -> None:
        self._step = step
        self._clock = clock or SystemTime()
        self._notes = 0  # number of commits so far
        self._seen = 0  # number of commits before the last step
        self._is_woken = False  # `wake` was called since
        self._is_idle = False  # the thread waits for a commit, `wake` or the next due time
        self._rest = REST_SECONDS_MIN
        self._wanted = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dunena-files", daemon=True)
        self._thread.start()

    def enqueue(self) -> None:
        """Report a commit for ``step``; only one thread may call it."""
        self._notes += 1
        if self._is_idle:
            self._is_idle = False
            self._wanted.set()

    def wake(self) -> None:
        """Report other work for ``step``; any thread may call it."""
        self._is_woken = True
        self._wanted.set()

    def close(self) -> None:
        """End the thread after its present step, and wait for it."""
        self._ending.set()
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        due: float | None = None
        began = self._clock.monotonic()
        while True:
            self._wait(due)
            if self._ending.is_set():
                return
            notes, self._seen = self._notes - self._seen, self._notes
            self._is_woken = False
            now = self._clock.monotonic()
            passed, began = now - began, now
            work = self._clock.thread_time()
            due = self._guarded_step(began)
            if notes:
                is_stream = notes > passed * STREAM_COMMITS_PER_SECOND and notes > 1
                self._rest_after(self._clock.thread_time() - work, due, is_stream=is_stream)

    def _rest_after(self, work: float, due: float | None, *, is_stream: bool) -> None:
        """Rest after ``work`` seconds of work; ``due`` is when the next step is due."""
        if not is_stream:
            self._rest = REST_SECONDS_MIN
            self._clock.wait(self._ending, self._rest)
            return
        late = -math.inf if due is None else self._clock.monotonic() - due
        share = REST_PER_WORK if late < LATE_SECONDS else REST_PER_WORK_WHEN_LATE
        # If more work is due already, only its share of the processor makes it wait.
        shortest = self._rest if late < 0 else REST_SECONDS_MIN
        self._clock.wait(self._ending, max(shortest, work * share))
        self._rest = min(2 * self._rest, REST_SECONDS_MAX)

    def _wait(self, due: float | None) -> None:
        """Wait until there is work."""
        while True:
            self._wanted.clear()
            self._is_idle = True
            # Reports from here on also set the event.
            if self._notes != self._seen or self._is_woken or self._ending.is_set():
                break
            seconds = None if due is None else max(0.0, due - self._clock.monotonic())
            if not self._clock.wait(self._wanted, seconds):
                break
        self._is_idle = False

    def _guarded_step(self, now: float) -> float | None:
        try:
            return self._step(now)
        except Exception:  # noqa: BLE001 - without this thread no file would be written
            _log.exception("files could not be brought up to date")
            return now + SYNC_PERIOD_SECONDS


class Syncer:
    """A thread that syncs the journal on request, and once a second if ``is_periodic``.

    Once there was nothing to sync it looks less often until `note`, so that an idle server seldom
    wakes for it.
    ``sync`` returns whether there was anything to sync, and raises OSError; ``timed`` gets the
    duration in seconds.
    """

    def __init__(
        self,
        sync: Callable[[], bool],
        *,
        is_periodic: bool,
        timed: Callable[[float], None],
        clock: SystemTime | None = None,
    ) -> None:
        self._sync = sync
        self._clock = clock or SystemTime()
        self._timed = timed
        self._period = SYNC_PERIOD_SECONDS if is_periodic else None
        self._wanted = threading.Condition(locks.make_lock(LockRank.SYNC_REQUESTS))
        self._waiting: list[Callable[[OSError | None], None]] = []
        self._is_ending = False
        self._is_failing = False
        self._is_idle = False  # nothing was to be synced last time, nor since
        self._thread = threading.Thread(target=self._run, name="dunena-sync", daemon=True)
        self._thread.start()

    def request(self, done: Callable[[OSError | None], None]) -> None:
        """Sync what was written so far, then call ``done`` in the thread with the error or None."""
        with self._wanted:
            self._waiting.append(done)
            self._wanted.notify()

    def note(self) -> None:
        """Report that something was written, which is to be synced within a period."""
        if self._is_idle:
            self._is_idle = False
            with self._wanted:
                self._wanted.notify()

    def close(self) -> None:
        """Do the requested syncs, end the thread and wait for it."""
        with self._wanted:
            self._is_ending = True
            self._wanted.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wanted:
                if not self._waiting and not self._is_ending:
                    is_resting = self._is_idle and self._period is not None
                    self._clock.wait(
                        self._wanted, IDLE_SYNC_SECONDS if is_resting else self._period
                    )
                waiting, self._waiting = self._waiting, []
                if self._is_ending and not waiting:
                    return
            if waiting or self._period is not None:
                failure = self._timed_sync()
                for done in waiting:
                    done(failure)

    def _timed_sync(self) -> OSError | None:
        began = self._clock.monotonic()
        self._is_idle = True  # before it looks, so that `note` takes it back for what comes after
        try:
            has_forced = self._sync()
        except OSError as error:
            if not self._is_failing:
                _log.error("the journal cannot be forced to the device: %s", error.strerror)
            self._is_failing = True
            self._is_idle = False
            return error
        self._is_failing = False
        seconds = self._clock.monotonic() - began
        if seconds > SLOW_SYNC_SECONDS:
            _log.warning("forcing the journal to the device took %.1f s", seconds)
        if has_forced:
            self._is_idle = False
            self._timed(seconds)
        return None
