"""A silent connection ends after its timeout, and no client that answers is cut off."""

from collections.abc import Callable

import pytest

from dunena.server.websocket.silence import LOOKS, Silence


class Peer:
    """A peer and a clock; ``answers`` tells whether it answers pings."""

    def __init__(self) -> None:
        self.now = 100.0
        self.was_heard = False
        self.answers = False
        self.pings: list[float] = []
        self.ended_at: float | None = None
        self.timers: list[Timer] = []
        self.silence = Silence(self, lambda: self.now, self.call_later)

    def call_later(self, seconds: float, action: Callable[[], None]) -> "Timer":
        timer = Timer(self.now + seconds, action)
        self.timers.append(timer)
        return timer

    def has_been_heard(self) -> bool:
        was_heard, self.was_heard = self.was_heard, False
        return was_heard

    def ping(self) -> None:
        self.pings.append(self.now)
        self.was_heard = self.answers

    def end_silence(self) -> None:
        self.ended_at = self.now

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            live = [timer for timer in self.timers if timer.action is not None]
            due = min(live, key=lambda timer: timer.at, default=None)
            if due is None or due.at > until:
                break
            self.now = max(self.now, due.at)
            action, due.action = due.action, None
            action()
        self.now = until

    def sleep(self, seconds: float) -> None:
        """The server itself does nothing for so long."""
        self.now += seconds


class Timer:
    def __init__(self, at: float, action: Callable[[], None]) -> None:
        self.at = at
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


@pytest.mark.parametrize("timeout", [2.0, 10.0, 60.0])
def test_a_silent_connection_is_asked_once_and_then_ends(timeout: float) -> None:
    peer = Peer()
    peer.silence.watch(timeout)
    peer.pass_time(3 * timeout)
    assert peer.ended_at == 100.0 + timeout
    assert peer.pings == [100.0 + timeout / 2]


def test_silence_is_at_least_the_timeout_and_at_most_an_eighth_more() -> None:
    timeout = 8.0
    for heard_at in (0.1, 0.9, 1.0, 3.3, 7.9):
        peer = Peer()
        peer.silence.watch(timeout)
        peer.pass_time(heard_at)
        peer.was_heard = True
        peer.pass_time(3 * timeout)
        assert peer.ended_at is not None
        silent = peer.ended_at - 100.0 - heard_at
        assert timeout <= silent <= timeout + timeout / LOOKS


def test_a_client_that_answers_pings_is_never_cut_off() -> None:
    peer = Peer()
    peer.answers = True
    peer.silence.watch(2.0)
    peer.pass_time(1000)
    assert peer.ended_at is None
    assert 700 < len(peer.pings) <= 1000


def test_another_timeout_counts_from_its_request_on() -> None:
    peer = Peer()
    peer.silence.watch(40.0)
    peer.pass_time(30)
    peer.silence.watch(2.0)
    peer.pass_time(1.9)
    assert peer.ended_at is None
    peer.pass_time(1)
    assert peer.ended_at == pytest.approx(132.0)


def test_time_in_which_the_server_itself_did_nothing_is_no_silence() -> None:
    peer = Peer()
    peer.answers = True
    peer.silence.watch(2.0)
    peer.pass_time(0.5)
    peer.sleep(30)
    peer.pass_time(10)
    assert peer.ended_at is None


def test_a_stopped_watch_ends_nothing() -> None:
    peer = Peer()
    peer.silence.watch(2.0)
    peer.silence.stop()
    peer.silence.stop()
    peer.pass_time(10)
    assert peer.ended_at is None
