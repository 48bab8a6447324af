"""Errors reported by asyncio do not fill the log."""

import errno
from typing import Any

from dunena.server.loop_faults import LoopFaults
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
