"""The two threads of the disk engine: the follower and the syncer."""

import errno
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise
from operator import itemgetter
from queue import Queue

import pytest

from dunena.persistence.disk import workers
from dunena.persistence.disk.workers import FileWriterThread, Syncer, SystemTime

WAIT_SECONDS = 10
"""Only so that a thread which never answers fails a test."""


class ScriptedTime(SystemTime):
    """Time that passes only while a thread works or waits, and what happens meanwhile.

    ``arrivals`` are times and what happens then, in the thread itself. A wait behind the last of
    them sets ``is_over`` and is a real one, for somebody to end the thread.
    """

    def __init__(self, arrivals: Iterable[tuple[float, Callable[[], None]]] = ()) -> None:
        self.now = 0.0
        self.work = 0.0
        self.arrivals = deque(arrivals)
        self.periods_max = 0
        self.has_begun = threading.Event()
        self.is_over = threading.Event()

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.work

    def spend(self, seconds: float) -> None:
        """So long the thread works."""
        self.work += seconds
        self._pass(seconds, lambda: False)

    def wait(
        self, signal: threading.Event | threading.Condition, seconds: float | None = None
    ) -> bool:
        if isinstance(signal, threading.Condition):
            return self._wait_for_request(signal, seconds)
        assert self.has_begun.wait(WAIT_SECONDS)
        is_last = seconds is None and not self.arrivals and not signal.is_set()
        if is_last:
            self.is_over.set()
            return signal.wait()
        self._pass(math.inf if seconds is None else seconds, signal.is_set)
        return signal.is_set()

    def _wait_for_request(self, signal: threading.Condition, seconds: float | None) -> bool:
        if seconds is None or not self.periods_max:
            self.is_over.set()
            return signal.wait()
        self.periods_max -= 1
        self.now += seconds
        return False

    def _pass(self, seconds: float, is_ended: Callable[[], bool]) -> None:
        end = self.now + seconds
        while not is_ended() and self.arrivals and self.arrivals[0][0] <= end:
            at, happen = self.arrivals.popleft()
            self.now = max(self.now, at)
            happen()
        if not is_ended():
            self.now = max(self.now, end)


class Syncs:
    """A `Syncer` with what it says in queues; a sync takes ``takes`` seconds."""

    def __init__(self, *, periods: int = 0) -> None:
        self.begun: Queue[float] = Queue()
        self.seconds: list[float] = []
        self.failure: OSError | None = None
        self.has_forced = True
        self.takes = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.time = ScriptedTime()
        self.time.periods_max = periods
        self.syncer = Syncer(
            self._sync, is_periodic=periods > 0, timed=self.seconds.append, clock=self.time
        )

    def _sync(self) -> bool:
        self.begun.put(self.time.now)
        assert self.gate.wait(WAIT_SECONDS)
        self.time.now += self.takes
        if self.failure is not None:
            raise self.failure
        return self.has_forced


def run_steps(
    commits: Iterable[float] = (),
    wakes: Iterable[float] = (),
    due: Callable[[float], float | None] = lambda _now: None,
    work: float = 0.0,
) -> list[float]:
    """When a `FileWriterThread` took its steps, to which commits and wakes came at these times.

    A step works for ``work`` seconds; ``due`` says when the next one is.
    """
    times: list[float] = []
    clock = ScriptedTime()

    def step(now: float) -> float | None:
        times.append(now)
        clock.spend(work)
        return due(now)

    file_writer = FileWriterThread(step, clock)
    clock.arrivals.extend(
        sorted(
            [(at, file_writer.enqueue) for at in commits]
            + [(at, file_writer.wake) for at in wakes],
            key=itemgetter(0),
        )
    )
    clock.has_begun.set()
    try:
        assert clock.is_over.wait(WAIT_SECONDS)
    finally:
        file_writer.close()
    return times


def a_stream(seconds: float) -> list[float]:
    """The times of commits that come faster than files can follow each."""
    return [number / 2_000 for number in range(round(seconds * 2_000))]


def test_a_commit_after_a_pause_causes_a_step_at_once() -> None:
    assert run_steps(commits=[1, 2, 3.5]) == [1, 2, 3.5]


def test_a_few_commits_cause_a_step_after_the_shortest_rest() -> None:
    assert run_steps(commits=[1, 1.001, 1.002]) == [1, 1 + workers.REST_SECONDS_MIN]


def test_a_stream_of_commits_causes_steps_at_growing_intervals() -> None:
    times = run_steps(commits=a_stream(1))
    pauses = [after - before for before, after in pairwise(times)]
    shortest, longest = workers.REST_SECONDS_MIN, workers.REST_SECONDS_MAX
    rests = [shortest, *(min(shortest * 2**number, longest) for number in range(len(pauses)))]
    assert pauses == pytest.approx(rests[: len(pauses)])
    assert pauses.count(pytest.approx(longest)) >= 5


def test_remaining_work_continues_at_once_without_commits() -> None:
    left = iter(range(20))
    times = run_steps(wakes=[1], due=lambda now: None if next(left, None) is None else now)
    assert times == [1] * 21


@pytest.mark.parametrize(("late", "share"), [(0.0, 0.1), (workers.LATE_SECONDS + 1, 0.5)])
def test_work_takes_a_limited_share_of_the_time_of_a_stream(late: float, share: float) -> None:
    seconds, work = 10, 0.005
    due = lambda now: now - late if now < seconds else None  # noqa: E731
    times = run_steps(commits=a_stream(seconds), due=due, work=work)
    assert len(times) * work / seconds == pytest.approx(share, rel=0.02)


def test_the_next_step_runs_at_the_time_a_step_returns() -> None:
    dues = iter((0.25, 0.0))

    def due(now: float) -> float | None:
        wait = next(dues, None)
        return None if wait is None else now + wait

    assert run_steps(wakes=[1, 3], due=due) == [1, 1.25, 1.25, 3]


def test_the_follower_continues_after_a_step_raises(caplog: pytest.LogCaptureFixture) -> None:
    results = iter([ValueError()])

    def due(_now: float) -> None:
        for error in results:
            raise error

    assert run_steps(wakes=[1], due=due) == [1, 1 + workers.SYNC_PERIOD_SECONDS]
    assert "could not be brought up to date" in caplog.text


def test_one_sync_answers_all_requests_made_before_it_began() -> None:
    syncs = Syncs()
    answers: Queue[tuple[str, OSError | None]] = Queue()
    syncs.gate.clear()
    syncs.syncer.request(lambda failure: answers.put(("first", failure)))
    syncs.begun.get(timeout=WAIT_SECONDS)
    for name in ("second", "third"):  # what they wrote may not be in the sync that runs
        syncs.syncer.request(lambda failure, name=name: answers.put((name, failure)))
    syncs.gate.set()
    found = [answers.get(timeout=WAIT_SECONDS) for _ in range(3)]
    assert found == [("first", None), ("second", None), ("third", None)]
    syncs.syncer.close()
    assert syncs.begun.qsize() == 1  # behind the one that was waited for


def test_a_failed_sync_is_reported_to_its_requests() -> None:
    syncs = Syncs()
    syncs.failure = OSError(errno.EIO, "Input/output error")
    answers: Queue[OSError | None] = Queue()
    syncs.syncer.request(answers.put)
    assert answers.get(timeout=WAIT_SECONDS) is syncs.failure
    syncs.syncer.close()


def test_a_periodic_syncer_syncs_without_requests() -> None:
    syncs = Syncs(periods=3)
    times = [syncs.begun.get(timeout=WAIT_SECONDS) for _ in range(3)]
    assert times == [number * workers.SYNC_PERIOD_SECONDS for number in (1, 2, 3)]
    syncs.syncer.close()
    assert syncs.begun.empty()


def test_a_syncer_that_is_not_periodic_syncs_only_on_request() -> None:
    syncs = Syncs()
    assert syncs.time.is_over.wait(WAIT_SECONDS)
    syncs.syncer.close()
    assert syncs.begun.empty()


@pytest.mark.parametrize("over", [0.0, 1.0])
def test_a_slow_sync_is_logged(over: float, caplog: pytest.LogCaptureFixture) -> None:
    syncs = Syncs()
    syncs.takes = workers.SLOW_SYNC_SECONDS + over
    answers: Queue[OSError | None] = Queue()
    with caplog.at_level(logging.WARNING):
        syncs.syncer.request(answers.put)
        answers.get(timeout=WAIT_SECONDS)
    syncs.syncer.close()
    assert [record.getMessage() for record in caplog.records] == (
        ["forcing the journal to the device took 3.0 s"] if over else []
    )


def test_only_syncs_that_forced_something_are_timed() -> None:
    syncs = Syncs()
    syncs.takes = 0.25
    answers: Queue[OSError | None] = Queue()
    for syncs.has_forced in (True, False):
        syncs.syncer.request(answers.put)
        answers.get(timeout=WAIT_SECONDS)
    syncs.failure = OSError("no")
    syncs.syncer.request(answers.put)
    answers.get(timeout=WAIT_SECONDS)
    syncs.syncer.close()
    assert syncs.seconds == [0.25]


def test_close_answers_pending_requests() -> None:
    syncs = Syncs()
    answers: Queue[OSError | None] = Queue()
    syncs.gate.clear()
    syncs.syncer.request(answers.put)
    syncs.begun.get(timeout=WAIT_SECONDS)
    syncs.syncer.request(answers.put)
    closing = threading.Thread(target=syncs.syncer.close)
    closing.start()
    syncs.gate.set()
    closing.join(WAIT_SECONDS)
    assert answers.qsize() == 2
