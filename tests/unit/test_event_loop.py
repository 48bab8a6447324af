"""Which event loop a value of --event-loop stands for."""

import asyncio
import sys

import pytest

from dunena.server.event_loop import EventLoopError, PollingLoop, event_loop_factory, poller_of

ON_UNIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has asyncio's loop alone")


def refuse() -> None:
    raise ValueError("not today")


@ON_UNIX
def test_the_loop_of_plain_connections_polls_them() -> None:
    factory = event_loop_factory("auto")
    assert factory is not None
    loop = factory()
    assert isinstance(loop, PollingLoop)
    assert poller_of(loop) is loop.poller
    loop.close()


@ON_UNIX
def test_over_tls_uvloop_serves_if_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = event_loop_factory("auto", is_encrypted=True)
    assert factory is not None
    assert factory.__module__ == "uvloop"
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert event_loop_factory("auto", is_encrypted=True) is None


def test_a_factory_is_named_by_module_and_function() -> None:
    factory = event_loop_factory("asyncio:new_event_loop")
    assert factory is not None
    loop = factory()
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert poller_of(loop) is None
    loop.close()


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("no_such_module:new", "No module named"),
        ("asyncio:no_such_function", "no attribute 'no_such_function'"),
        ("builtins:dict", "that makes no event loop of asyncio"),
        (f"{__name__}:refuse", "not today"),
    ],
)
def test_a_factory_that_makes_no_loop_is_refused_with_the_reason(choice: str, reason: str) -> None:
    with pytest.raises(EventLoopError, match=reason):
        event_loop_factory(choice)()  # type: ignore[misc]
