"""Unread replies have a budget and a timeout."""

import pytest

from dunena.dialects.dialect import Dialect
from dunena.server.budget import Budget
from dunena.server.limits import UNREAD_SECONDS_MAX, UNREAD_TLS_FACTOR
from dunena.server.unread import Unread
from tests.unit.test_websocket_connection import GET, Peer


class Reader:
    """A peer with so many bytes on their way to it and so many behind them."""

    def __init__(self, budget: Budget, *, is_encrypted: bool = False) -> None:
        self.sizes = (0, 0)
        self.is_gone = False
        self.unread = Unread(
            budget, self._disconnect, lambda: self.sizes, is_encrypted=is_encrypted
        )

    def _disconnect(self) -> None:
        self.is_gone = True


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_peer_that_reads_nothing_is_overdue_after_the_timeout(is_encrypted: bool) -> None:
    reader = Reader(Budget(1_000), is_encrypted=is_encrypted)
    seconds = UNREAD_SECONDS_MAX * (UNREAD_TLS_FACTOR if is_encrypted else 1)
    reader.sizes = (100, 0)
    assert not reader.unread.is_overdue(5.0)
    reader.unread.paused(10.0)
    assert not reader.unread.is_overdue(10.0 + seconds - 1)
    assert reader.unread.is_overdue(10.0 + seconds)
    reader.unread.resumed()
    assert not reader.unread.is_overdue(10.0 + 2 * seconds)


def test_a_peer_that_reads_slowly_is_not_overdue_though_more_arrives() -> None:
    reader = Reader(Budget(10_000))
    reader.unread.paused(0.0)
    for number in range(1, 10):
        reader.sizes = (1_000 - number, 100 * number)
        assert not reader.unread.is_overdue(number * (UNREAD_SECONDS_MAX - 1))


def test_the_peer_with_the_most_unread_bytes_is_dropped_over_the_budget() -> None:
    budget = Budget(1_000)
    large, small = Reader(budget), Reader(budget)
    large.sizes, small.sizes = (500, 200), (100, 150)
    large.unread.paused(0.0)
    small.unread.paused(0.0)
    assert budget.bytes == 950
    small.sizes = (100, 250)
    small.unread.is_overdue(1.0)
    assert (large.is_gone, small.is_gone, budget.bytes) == (True, False, 350)


def test_unread_bytes_count_only_while_writing_is_paused() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    registry = peer.connection._context.registry
    peer.go_round()
    peer.transport.unsent_bytes = 1_000
    peer.connection.pause_writing()
    assert registry.unread.bytes == 1_000
    assert not peer.transport.is_reading, "its requests wait"
    peer.connection.resume_writing()
    assert registry.unread.bytes == 0


def test_a_connection_that_reads_no_replies_is_aborted_after_the_timeout() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    peer.receive(GET)
    peer.connection.pause_writing()
    peer.connection.sweep(UNREAD_SECONDS_MAX - 1)
    assert peer.transport.ends == []
    peer.connection.sweep(UNREAD_SECONDS_MAX + 1)
    assert peer.transport.ends == ["abort"]
    assert peer.rooms.telemetry.slow_readers_closed == 1
    peer.connection.connection_lost(None)
    assert peer.connection._context.registry.unread.bytes == 0
