"""Errors reported by asyncio do not fill the log."""

import errno
import sys
from typing import Any

import pytest

from dunena.server.loop_faults import LoopFaults, connections_max
from dunena.server.shortage import Shortage


class StubLoop:
    """A loop that counts what it is told to report."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reported = 0

    def time(self) -> float:
        return self.now

    def default_exception_handler(self, _context: dict[str, Any]) -> None:
        self.reported += 1


def test_repeated_faults_are_reported_at_intervals_with_a_count(caplog) -> None:
    loop: Any = StubLoop()
    faults = LoopFaults(Shortage())
    for _ in range(500):
        faults(loop, {"exception": RecursionError("too deep")})
    assert loop.reported == 1
    loop.now += 11
    faults(loop, {"exception": RecursionError("too deep")})
    assert loop.reported == 2
    assert "499 more faults" in caplog.text


def test_a_handled_accept_failure_is_not_reported() -> None:
    loop: Any = StubLoop()

    async def accept_coro() -> None:
        raise ConnectionResetError

    coroutine = accept_coro()
    LoopFaults(Shortage())(loop, {"exception": ConnectionResetError(), "future": coroutine})
    coroutine.close()
    assert loop.reported == 0


def test_a_want_of_descriptors_is_reported_as_a_shortage(caplog) -> None:
    loop: Any = StubLoop()
    shortage = Shortage()
    faults = LoopFaults(shortage)
    for _ in range(10):
        faults(loop, {"exception": OSError(errno.EMFILE, "Too many open files")})
    assert loop.reported == 0
    assert shortage.reason == "no new connections for now: Too many open files"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "ulimit -n" in record.getMessage()


class Limits:
    """The limit on open files of a system that permits at most ``most``.

    ``clamps``: it gives so many to those who want more, and else refuses them.
    """

    def __init__(self, soft: int, most: int, *, clamps: bool = False) -> None:
        self.soft = soft
        self._most = most
        self._clamps = clamps

    def getrlimit(self, _kind: int) -> tuple[int, int]:
        return self.soft, 1_000_000

    def setrlimit(self, _kind: int, wanted: tuple[int, int]) -> None:
        if wanted[0] > self._most and not self._clamps:
            raise ValueError
        self.soft = min(wanted[0], self._most)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize(
    ("limits", "connections", "is_told"),
    [
        (Limits(256, 1_000_000), 50_000, False),
        (Limits(60_000, 60_000), 50_000, False),
        (Limits(256, 24_576, clamps=True), 24_512, False),
        (Limits(256, 10_240), 10_176, False),
        (Limits(256, 256), 192, True),
        (Limits(40, 40), 20, True),
    ],
)
def test_the_limit_on_open_files_is_raised_as_far_as_permitted(
    monkeypatch: pytest.MonkeyPatch, caplog, limits: Limits, connections: int, is_told: bool
) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limits.setrlimit)
    assert connections_max(50_000) == connections
    told = [f"the limit on open files (ulimit -n) cannot be raised and stays at {limits.soft}"]
    assert caplog.messages == (told if is_told else [])
    assert all(record.levelname == "WARNING" for record in caplog.records)
