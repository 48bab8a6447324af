"""Accepting connections on Windows continues after any failure, on a simulated system."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from dunena.server import accepting
from dunena.server.accepting import Accepted, Accepting

RESET = ConnectionResetError(errno.ECONNRESET, "reset")
# An OSError of Windows with a number that no other system has a name for.
UNEXPECTED = OSError(errno.EINVAL, "an unexpected network error")
NO_MEANS = OSError(errno.EMFILE, "too many open files")


class FakeListener:
    """A system's accepts, each answered by the test."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Accepted]] = []
        self.refusal: OSError | None = None
        self.is_open = True
        self.was_asked = asyncio.Event()
        self.reported: list[dict[str, Any]] = []

    def accept(self) -> asyncio.Future[Accepted]:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(asyncio.get_running_loop().create_future())
        self.was_asked.set()
        return self.asked[-1]

    def begin(self) -> Accepting:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: self.reported.append(context))
        return Accepting(self.accept, lambda: self.is_open, loop)


async def settle() -> None:
    """Let callbacks that are due run."""
    for _ in range(3):
        await asyncio.sleep(0)


def connection() -> Accepted:
    return socket.socket(), ("127.0.0.1", 1)


def test_accept_returns_the_connection() -> None:
    async def run() -> None:
        listener = FakeListener()
        accepting = listener.begin()
        one = connection()
        listener.asked[0].set_result(one)
        assert await accepting == one
        one[0].close()

    asyncio.run(run())


@pytest.mark.parametrize("error", [RESET, UNEXPECTED])
def test_accept_goes_on_after_900_reset_connections_and_reports_none(error: OSError) -> None:
    async def run() -> None:
        listener = FakeListener()
        accepting = listener.begin()
        for number in range(900):
            assert len(listener.asked) == number + 1
            listener.asked[-1].set_exception(error)
            await settle()
        one = connection()
        listener.asked[-1].set_result(one)
        assert await accepting == one
        assert not listener.reported
        one[0].close()

    asyncio.run(run())


def refuse(listener: FakeListener, error: OSError) -> Accepting:
    """Begin while the system takes no accept."""
    listener.refusal = error
    accepting = listener.begin()
    listener.refusal = None
    return accepting


def fail(listener: FakeListener, error: OSError) -> Accepting:
    """Begin, and let the accept fail."""
    accepting = listener.begin()
    listener.asked.pop().set_exception(error)
    listener.was_asked.clear()
    return accepting


def comes_through_after(error: OSError) -> list[dict[str, Any]]:
    """What was reported until the system took an accept, which it refused with an error first."""

    async def run() -> list[dict[str, Any]]:
        listener = FakeListener()
        waiting = refuse(listener, error)
        await listener.was_asked.wait()
        one = connection()
        listener.asked[0].set_result(one)
        assert await waiting == one
        one[0].close()
        return listener.reported

    return asyncio.run(run())


def test_accept_retries_later_when_the_system_lacks_resources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "RETRY_SECONDS", 0.001)
    assert [context["exception"] for context in comes_through_after(NO_MEANS)] == [NO_MEANS]


def test_accept_retries_without_a_pause_after_an_immediate_reset() -> None:
    assert comes_through_after(RESET) == []


def test_accept_pauses_after_repeated_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "FAILURES_IN_A_ROW_MAX", 3)

    async def run() -> None:
        listener = FakeListener()
        waiting = listener.begin()
        for _ in range(3):
            listener.asked[-1].set_exception(UNEXPECTED)
            await settle()
        assert len(listener.asked) == 3
        assert [context["exception"] for context in listener.reported] == [UNEXPECTED]
        waiting.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("begin", [refuse, fail])
def test_accept_fails_without_a_retry_when_the_listener_is_closed(
    begin: Callable[[FakeListener, OSError], Accepting],
) -> None:
    async def run() -> None:
        listener = FakeListener()
        listener.is_open = False
        waiting = begin(listener, RESET)
        with pytest.raises(OSError, match="reset"):
            await waiting
        assert not listener.asked

    asyncio.run(run())


def test_cancelling_an_accept_cancels_the_pending_system_call() -> None:
    async def run() -> None:
        listener = FakeListener()
        waiting = listener.begin()
        assert waiting.cancel()
        assert listener.asked[0].cancelled(), "before the socket is closed"
        await settle()
        assert waiting.cancelled()
        assert len(listener.asked) == 1

    asyncio.run(run())


def test_cancelling_an_accept_cancels_the_pause_before_a_retry() -> None:
    async def run() -> None:
        listener = FakeListener()
        waiting = refuse(listener, NO_MEANS)
        pause = waiting._retry
        assert pause is not None
        assert waiting.cancel()
        assert pause.cancelled()

    asyncio.run(run())


def test_an_accept_cancelled_by_the_system_is_cancelled() -> None:
    async def run() -> None:
        listener = FakeListener()
        waiting = listener.begin()
        listener.asked[0].cancel()
        await settle()
        assert waiting.cancelled()

    asyncio.run(run())
