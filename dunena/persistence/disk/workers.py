"""The engine's two threads: one brings files up to date, one forces the journal to the device."""

import logging
import math
import threading
import time
from collections.abc import Callable

from dunena.persistence.disk import locks
from dunena.persistence.disk.locks import LockRank

SLOW_SYNC_SECONDS = 2.0
"""A sync that takes longer is said in the log, as Redis does: the device is not keeping up."""

SYNC_PERIOD_SECONDS = 1.0

REST_SECONDS_MIN = 0.004
REST_SECONDS_MAX = 0.1
"""Between two steps: the shortest while commits come, twice as long each time while they stream
in. A thread that is woken for every commit costs more than all the rest of a small commit."""

STREAM_COMMITS_PER_SECOND = 400
"""From here on it is a stream. Up to it every file can follow its commit at once."""

REST_PER_WORK = 9
"""While commits stream in, files get a tenth of a processor; the commits get the others. A stream
of changes to more files than that pays for makes files follow later."""

LATE_SECONDS = 5.0
REST_PER_WORK_WHEN_LATE = 1
"""When files are later than that, they get half."""

_log = logging.getLogger(__name__)


class SystemTime:
    """The time of the two threads, in seconds; a test has one of its own."""

    def monotonic(self) -> float:
        """Now, by the monotonic clock."""
        return time.monotonic()

    def thread_time(self) -> float:
        """The processor time that the calling thread has used."""
        return time.thread_time()

    def wait(
        self, signal: threading.Event | threading.Condition, seconds: float | None = None
    ) -> bool:
        """Wait for a signal, at most so long; whether it came."""
        return signal.wait(seconds)


class FileWriterThread:
    """Calls ``step`` when there is something to do; ``step`` says when it is due next.

    ``step`` takes and gives seconds of the monotonic clock; None means not before `enqueue` or
    `wake`. It may do a part of what is due, and name a time that has passed for the rest of it.

    After a step that was called for the thread rests, so that most commits of a stream find it
    asleep with its alarm set and have nobody to wake.
    """

    def __init__(
        self, step: Callable[[float], float | None], clock: SystemTime | None = None
    ) -> None:
        self._step = step
        self._clock = clock or SystemTime()
        self._notes = 0  # commits there were
        self._seen = 0  # of them, before the last step
        self._is_woken = False  # something else came since
        self._is_idle = False  # it waits for one of them, or for the next time it is due
        self._rest = REST_SECONDS_MIN
        self._wanted = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dunena-files", daemon=True)
        self._thread.start()

    def enqueue(self) -> None:
        """A commit is there for `step`; one thread's to call."""
        self._notes += 1
        if self._is_idle:
            self._is_idle = False
            self._wanted.set()

    def wake(self) -> None:
        """There is something else to do; may be called from any thread."""
        self._is_woken = True
        self._wanted.set()

    def close(self) -> None:
        """End the thread after the step it is in."""
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
        """Rest after so many seconds of work, when the next is due then."""
        if not is_stream:
            self._rest = REST_SECONDS_MIN
            self._clock.wait(self._ending, self._rest)
            return
        late = -math.inf if due is None else self._clock.monotonic() - due
        share = REST_PER_WORK if late < LATE_SECONDS else REST_PER_WORK_WHEN_LATE
        # Where more is due already, only what the work costs makes it wait.
        shortest = self._rest if late < 0 else REST_SECONDS_MIN
        self._clock.wait(self._ending, max(shortest, work * share))
        self._rest = min(2 * self._rest, REST_SECONDS_MAX)

    def _wait(self, due: float | None) -> None:
        """Until there is something to do."""
        while True:
            self._wanted.clear()
            self._is_idle = True
            # Whoever says that there is something from here on sets the event as well.
            if self._notes != self._seen or self._is_woken or self._ending.is_set():
                break
            seconds = None if due is None else max(0.0, due - self._clock.monotonic())
            if not self._clock.wait(self._wanted, seconds):
                break
        self._is_idle = False

    def _guarded_step(self, now: float) -> float | None:
        try:
            return self._step(now)
        except Exception:  # noqa: BLE001 - without this thread no file would ever follow
            _log.exception("files could not be brought up to date")
            return now + SYNC_PERIOD_SECONDS


class Syncer:
    """Forces the journal to the device: once a second when ``is_periodic``, and when asked to.

    ``sync`` says whether there was anything to force, and raises OSError; ``timed`` is told how
    many seconds it took.
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
                    self._clock.wait(self._wanted, self._period)
                waiting, self._waiting = self._waiting, []
                if self._is_ending and not waiting:
                    return
            if waiting or self._period is not None:
                failure = self._timed_sync()
                for done in waiting:
                    done(failure)

    def _timed_sync(self) -> OSError | None:
        began = self._clock.monotonic()
        try:
            has_forced = self._sync()
        except OSError as error:
            if not self._is_failing:
                _log.error("the journal cannot be forced to the device: %s", error.strerror)
            self._is_failing = True
            return error
        self._is_failing = False
        seconds = self._clock.monotonic() - began
        if seconds > SLOW_SYNC_SECONDS:
            _log.warning("forcing the journal to the device took %.1f s", seconds)
        if has_forced:
            self._timed(seconds)
        return None
