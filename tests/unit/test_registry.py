"""The registry of connections: sweeps in parts, and limits per group."""

import asyncio
from collections.abc import Callable

from dunena.server.registry import SWEEP_PART, SWEEP_SECONDS, Registry


class Timer:
    def cancel(self) -> None:
        """It does not come any more."""


class Loop:
    """A loop that runs what is due when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.later: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, action: Callable[[], None]) -> Timer:
        self.later.append((self.now + seconds, action))
        return Timer()

    def advance(self, seconds: float) -> list[int]:
        """Let time pass; how many connections each turn looked at."""
        until, turns = self.now + seconds, []
        while self.later and self.later[0][0] <= until:
            self.now, action = self.later.pop(0)
            before = Peer.looks
            action()
            turns.append(Peer.looks - before)
        self.now = until
        return turns


class Peer:
    """A connection that counts how often it is looked at."""

    looks = 0

    def __init__(self) -> None:
        self.looked_at: list[float] = []

    def sweep(self, now_seconds: float) -> None:
        self.looked_at.append(now_seconds)
        Peer.looks += 1

    def shut_down(self) -> None:
        """It stays."""

    def abort(self) -> None:
        """It stays."""


def registry_of(count: int) -> tuple[Loop, Registry, list[Peer]]:
    loop = Loop()
    registry = Registry(loop, 100_000)  # type: ignore[arg-type]
    peers = [Peer() for _ in range(count)]
    for peer in peers:
        registry.add(peer)
    return loop, registry, peers


def test_every_connection_is_swept_once_a_second() -> None:
    loop, _, peers = registry_of(3)
    loop.advance(5 * SWEEP_SECONDS)
    assert [peer.looked_at for peer in peers] == [[1.0, 2.0, 3.0, 4.0, 5.0]] * 3


def test_many_connections_are_swept_in_parts() -> None:
    loop, _, peers = registry_of(5 * SWEEP_PART + 1)
    turns = loop.advance(1.9 * SWEEP_SECONDS)
    assert turns == [SWEEP_PART] * 5 + [1]
    assert {len(peer.looked_at) for peer in peers} == {1}


def test_a_connection_removed_during_a_sweep_is_not_swept() -> None:
    loop, registry, peers = registry_of(2 * SWEEP_PART)
    loop.advance(SWEEP_SECONDS)
    gone = [peer for peer in peers if not peer.looked_at]
    assert len(gone) == SWEEP_PART
    for peer in gone:
        registry.remove(peer)
    loop.advance(0.5 * SWEEP_SECONDS)
    assert not any(peer.looked_at for peer in gone)


def test_close_waits_until_all_connections_are_removed() -> None:
    async def run() -> None:
        registry = Registry(asyncio.get_running_loop(), 10)
        peer = Peer()
        registry.add(peer)
        asyncio.get_running_loop().call_soon(registry.remove, peer)
        await registry.close(10.0)

    asyncio.run(asyncio.wait_for(run(), 5))


def test_each_group_has_its_own_connection_limit() -> None:
    registry = Registry(Loop(), 100, connections_per_group_max=2)
    peers = [Peer() for _ in range(4)]
    registry.add(peers[0], "a")
    assert not registry.is_crowded("a")
    registry.add(peers[1], "a")
    assert registry.is_crowded("a")
    assert not registry.is_crowded("b")
    registry.replace(peers[0], peers[2])  # an upgrade changes nothing
    assert registry.is_crowded("a")
    registry.add(peers[2], "b")  # a proxy said who it really was
    assert not registry.is_crowded("a")
    registry.remove(peers[1])
    registry.remove(peers[2])
    assert not registry.is_crowded("b")


def test_local_connections_do_not_count_against_the_group_limit() -> None:
    registry = Registry(Loop(), 100, connections_per_group_max=1)
    registry.add(Peer())
    registry.add(Peer())
    assert not registry.is_crowded("")


def test_connections_that_ended_are_counted_once() -> None:
    _, registry, peers = registry_of(3)
    assert registry.closed_count == 0
    registry.remove(peers[0])
    registry.remove(peers[0])
    registry.replace(peers[1], Peer())
    assert registry.closed_count == 1
