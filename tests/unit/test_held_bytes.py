"""Counting the held bytes of a connection in the budgets of strangers and bodies."""

from typing import Any

from dunena.server.http.held_bytes import HeldBytes
from dunena.server.limits import CONNECTION_BYTES
from dunena.server.registry import Registry
from tests.unit.test_websocket_connection import StillLoop


class Holder:
    """A connection that only counts its bytes."""

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


def test_a_stranger_holds_all_its_bytes_except_admitted_bodies() -> None:
    holder = Holder()
    assert holder.sizes == (CONNECTION_BYTES, 0)
    holder.held.hold(700, is_admitted=False)
    assert holder.sizes == (CONNECTION_BYTES + 700, 0)
    holder.held.hold(900, is_admitted=True)
    assert holder.sizes == (CONNECTION_BYTES, 900)
    assert holder.held.size == 900


def test_an_admitted_connection_holds_only_its_bodies() -> None:
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


def test_give_up_is_called_over_the_budget() -> None:
    holder = Holder()
    holder.registry.bodies._bytes_max = 1_000
    holder.held.hold(1_001, is_admitted=True)
    assert holder.gave_up == 1


def test_a_lost_connection_holds_no_bytes() -> None:
    holder = Holder()
    holder.held.hold(900, is_admitted=True)
    holder.held.lose()
    assert holder.sizes == (0, 0)
    assert (len(holder.registry.strangers), len(holder.registry.bodies)) == (0, 0)
