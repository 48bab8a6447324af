"""The engine's two threads."""

import errno
import logging
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from queue import Queue
from statistics import median

import pytest

from dunena.persistence.disk import workers
from dunena.persistence.disk.workers import FileWriterThread, Syncer

WAIT_SECONDS = 10


class Syncs:
    """A `Syncer` with what it says in queues."""

    def __init__(self, *, is_periodic: bool = False) -> None:
        self.begun: Queue[None] = Queue()
        self.seconds: list[float] = []
        self.failure: OSError | None = None
        self.has_forced = True
        self.gate = threading.Event()
        self.gate.set()
        self.syncer = Syncer(self._sync, is_periodic=is_periodic, timed=self.seconds.append)

    def _sync(self) -> bool:
        self.begun.put(None)
        assert self.gate.wait(WAIT_SECONDS)
        if self.failure is not None:
            raise self.failure
        return self.has_forced


class Steps:
    """A `FileWriterThread` with the times of its steps in a queue; ``due`` says when it is next."""

    def __init__(self, due: Callable[[float], float | None] = lambda _now: None) -> None:
        self.times: Queue[float] = Queue()
        self.due = due
        self.file_writer = FileWriterThread(self._step)

    def _step(self, now: float) -> float | None:
        self.times.put(now)
        return self.due(now)

    def next(self) -> float:
        return self.times.get(timeout=WAIT_SECONDS)


def test_a_commit_after_a_rest_is_followed_at_once() -> None:
    steps = Steps()
    try:
        for _ in range(3):
            while not steps.file_writer._is_idle:
                time.sleep(0)
            began = time.monotonic()
            steps.file_writer.enqueue()
            assert steps.next() >= began
    finally:
        steps.file_writer.close()
    assert steps.times.empty()


def test_a_stream_of_commits_is_followed_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "REST_SECONDS_MAX", 0.02)
    steps = Steps()
    end = time.monotonic() + 0.5
    try:
        while time.monotonic() < end:
            steps.file_writer.enqueue()
            time.sleep(0)
    finally:
        steps.file_writer.close()
    times = [steps.times.get() for _ in range(steps.times.qsize())]
    pauses = [after - before for before, after in pairwise(times)]
    assert min(pauses) >= workers.REST_SECONDS_MIN * 0.9
    assert median(pauses) >= 0.018


def test_work_that_is_left_goes_on_at_once_when_no_commits_come() -> None:
    left = iter(range(20))
    steps = Steps(lambda now: None if next(left, None) is None else now)
    try:
        steps.file_writer.wake()
        times = [steps.next() for _ in range(21)]
    finally:
        steps.file_writer.close()
    assert times[-1] - times[0] < 20 * workers.REST_SECONDS_MIN


@pytest.mark.parametrize(("late", "share"), [(0.0, 0.1), (workers.LATE_SECONDS + 1, 0.5)])
def test_work_takes_a_small_part_of_the_time_of_a_stream(late: float, share: float) -> None:
    def work(now: float) -> float:
        began = time.thread_time()
        while time.thread_time() < began + 0.005:
            pass
        return now - late

    steps = Steps(work)
    end = time.monotonic() + 1
    try:
        while time.monotonic() < end:
            steps.file_writer.enqueue()
            time.sleep(0.0005)
    finally:
        steps.file_writer.close()
    assert share * 0.2 < steps.times.qsize() * 0.005 < share * 1.2


def test_a_step_says_when_the_next_one_is() -> None:
    steps: Queue[float] = Queue()
    dues = iter((0.01, 0.0))

    def step(now: float) -> float | None:
        steps.put(now)
        due = next(dues, None)
        return None if due is None else now + due

    file_writer = FileWriterThread(step)
    try:
        file_writer.wake()
        times = [steps.get(timeout=WAIT_SECONDS) for _ in range(3)]
        assert times[1] - times[0] >= 0.009
        file_writer.wake()
        steps.get(timeout=WAIT_SECONDS)
    finally:
        file_writer.close()
    assert steps.empty()


def test_a_follower_outlives_a_step_that_breaks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "SYNC_PERIOD_SECONDS", 0.01)
    steps: Queue[None] = Queue()

    def step(_now: float) -> None:
        steps.put(None)
        if steps.qsize() == 1:
            raise ValueError

    file_writer = FileWriterThread(step)
    try:
        file_writer.wake()
        deadline = time.monotonic() + WAIT_SECONDS
        while steps.qsize() < 2:
            assert time.monotonic() < deadline
    finally:
        file_writer.close()
    assert "could not be brought up to date" in caplog.text


def test_one_sync_answers_all_who_asked_before_it_began() -> None:
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


def test_a_failed_sync_is_told_to_all_who_wait() -> None:
    syncs = Syncs()
    syncs.failure = OSError(errno.EIO, "Input/output error")
    answers: Queue[OSError | None] = Queue()
    syncs.syncer.request(answers.put)
    assert answers.get(timeout=WAIT_SECONDS) is syncs.failure
    syncs.syncer.close()


def test_a_periodic_syncer_needs_no_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SYNC_PERIOD_SECONDS", 0.01)
    syncs = Syncs(is_periodic=True)
    for _ in range(3):
        syncs.begun.get(timeout=WAIT_SECONDS)
    syncs.syncer.close()


def test_a_slow_sync_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "SLOW_SYNC_SECONDS", 0.0)
    syncs = Syncs()
    answers: Queue[OSError | None] = Queue()
    with caplog.at_level(logging.WARNING):
        syncs.syncer.request(answers.put)
        answers.get(timeout=WAIT_SECONDS)
    syncs.syncer.close()
    assert "took" in caplog.text


def test_syncs_are_timed_unless_there_was_nothing_to_do() -> None:
    syncs = Syncs()
    answers: Queue[OSError | None] = Queue()
    for syncs.has_forced in (True, False):
        syncs.syncer.request(answers.put)
        answers.get(timeout=WAIT_SECONDS)
    syncs.failure = OSError("no")
    syncs.syncer.request(answers.put)
    answers.get(timeout=WAIT_SECONDS)
    syncs.syncer.close()
    (seconds,) = syncs.seconds
    assert 0 <= seconds < WAIT_SECONDS


def test_closing_answers_what_was_asked() -> None:
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
