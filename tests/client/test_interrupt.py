"""Interrupts by Ctrl+C at any point of a call."""

import threading

import pytest

from dunena.client import blocking
from dunena.sync import connect
from tests.support.server import ServerProcess

SECONDS_MAX = 20


def test_a_lock_held_by_an_interrupted_call_does_not_block_close(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking, "_JOIN_SECONDS_MAX", 0.2)  # for each thread that cannot end
    store = connect(server.url)

    def use() -> None:
        with store:
            store.set("k", 1)
            store._calls._state.acquire()  # and the promise to give it back never came

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(SECONDS_MAX)
    assert not thread.is_alive()
