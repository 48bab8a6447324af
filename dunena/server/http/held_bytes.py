"""What one connection holds of what all may hold together before a request is whole."""

from dunena.server.budget import GiveUp
from dunena.server.limits import CONNECTION_BYTES
from dunena.server.registry import Registry


class HeldBytes:
    """One connection's part of the budgets ``strangers`` and ``bodies`` of the registry.

    ``is_stranger`` until a request of it was let in: so long it counts among the strangers, with
    all that it holds but for bodies of those who may send them. ``give_up`` is called when all
    together hold too much, and this one the most.
    """

    def __init__(self, registry: Registry, give_up: GiveUp) -> None:
        self._strangers = registry.strangers
        self._bodies = registry.bodies
        self._give_up = give_up
        self.is_stranger = True
        self.size = 0

    def hold_connection(self) -> None:
        """Count the connection itself, of which nothing has come yet."""
        self._strangers.hold(self._give_up, CONNECTION_BYTES)

    def hold(self, size: int, *, is_admitted: bool) -> None:
        """Set what is kept now of a request that is not whole, in bytes.

        ``is_admitted`` says that it is the body of somebody who may send it.
        """
        self.size = size
        admitted_bytes = size if is_admitted else 0
        self._bodies.hold(self._give_up, admitted_bytes)
        if self.is_stranger:
            self._strangers.hold(self._give_up, CONNECTION_BYTES + size - admitted_bytes)

    def let_in(self) -> None:
        """A request was let in: the connection is no stranger any more."""
        self.is_stranger = False
        self._strangers.hold(self._give_up, 0)

    def release(self) -> None:
        """Nothing is held any more."""
        self._bodies.hold(self._give_up, 0)
        self._strangers.hold(self._give_up, 0)
        self.is_stranger = False

    def lose(self) -> None:
        """The connection is lost: hold nothing, and do not lead back to it."""
        self.release()
        self._give_up = _do_nothing


def _do_nothing() -> None:
    """Stand in for the callback of a connection that is lost."""
