"""A connection counts among strangers until it was let in, and its body among bodies."""

from typing import Any

from dunena.server.http.held_bytes import HeldBytes
from dunena.server.limits import CONNECTION_BYTES
from dunena.server.registry import Registry
from tests.unit.test_websocket_connection import StillLoop


class Holder:
    """A connection that only holds."""

    def __init__(self) -> None:
        loop: Any = StillLoop()
        self.registry = Registry(loop, 10)
        self.gave_up = 0
        self.held = HeldBytes(self.registry, self.give_up)
        self.held.hold_connection()

    def give_up(self) -> None:
        self.gave_up += 1

    @property
    def sizes(self) -> tuple[int, int]:
        return self.registry.strangers.bytes, self.registry.bodies.bytes


def test_a_stranger_counts_with_all_but_a_body_that_was_admitted() -> None:
    holder = Holder()
    assert holder.sizes == (CONNECTION_BYTES, 0)
    holder.held.hold(700, is_admitted=False)
    assert holder.sizes == (CONNECTION_BYTES + 700, 0)
    holder.held.hold(900, is_admitted=True)
    assert holder.sizes == (CONNECTION_BYTES, 900)
    assert holder.held.size == 900


def test_who_was_let_in_counts_with_its_bodies_alone() -> None:
    holder = Holder()
    holder.held.let_in()
    assert holder.sizes == (0, 0)
    assert not holder.held.is_stranger
    holder.held.hold(700, is_admitted=False)
    assert holder.sizes == (0, 0)
    holder.held.hold(900, is_admitted=True)
    assert holder.sizes == (0, 900)
    holder.held.release()
    assert holder.sizes == (0, 0)


def test_who_holds_too_much_gives_up() -> None:
    holder = Holder()
    holder.registry.bodies._bytes_max = 1_000
    holder.held.hold(1_001, is_admitted=True)
    assert holder.gave_up == 1


def test_a_lost_connection_holds_nothing() -> None:
    holder = Holder()
    holder.held.hold(900, is_admitted=True)
    holder.held.lose()
    assert holder.sizes == (0, 0)
    assert (len(holder.registry.strangers), len(holder.registry.bodies)) == (0, 0)
