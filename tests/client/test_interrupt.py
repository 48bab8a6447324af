"""A Ctrl+C may come anywhere."""

import threading

from dunena.sync import connect
from tests.support.server import ServerProcess

SECONDS_MAX = 20


def test_a_lock_that_an_interrupt_left_behind_does_not_hold_up_the_end(
    server: ServerProcess,
) -> None:
    store = connect(server.url)

    def use() -> None:
        with store:
            store.set("k", 1)
            store._calls._state.acquire()  # and the promise to give it back never came

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(SECONDS_MAX)
    assert not thread.is_alive()
