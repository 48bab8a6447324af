"""The bytes of incomplete requests that one connection holds, counted in shared budgets."""

from dunena.server.budget import GiveUp
from dunena.server.limits import CONNECTION_BYTES
from dunena.server.registry import Registry


class HeldBytes:
    """Counts one connection's bytes in the budgets ``strangers`` and ``bodies`` of the registry.

    ``is_stranger`` is true until a request of the connection was admitted. Until then the
    connection and its bytes count as those of a stranger, except the bodies of admitted requests,
    which always count as bodies. ``size`` is the number of held bytes. ``give_up`` is called if all
    connections together hold too many bytes and this one the most.
    """

    __slots__ = ("_bodies", "_give_up", "_strangers", "is_stranger", "size")

    def __init__(self, registry: Registry, give_up: GiveUp) -> None:
        self._strangers = registry.strangers
        self._bodies = registry.bodies
        self._give_up = give_up
        self.is_stranger = True
        self.size = 0

    def hold_connection(self) -> None:
        """Count the memory of a new connection, which has received nothing yet."""
        self._strangers.hold(self._give_up, CONNECTION_BYTES)

    def hold(self, size: int, *, is_admitted: bool) -> None:
        """Set the number of bytes that are held now of an incomplete request.

        ``is_admitted``: they are the body of an admitted request.
        """
        self.size = size
        admitted_bytes = size if is_admitted else 0
        self._bodies.hold(self._give_up, admitted_bytes)
        if self.is_stranger:
            self._strangers.hold(self._give_up, CONNECTION_BYTES + size - admitted_bytes)

    def let_in(self) -> None:
        """Count a stranger's connection as none any more: a request of it was admitted."""
        self.is_stranger = False
        self._strangers.hold(self._give_up, 0)

    def release(self) -> None:
        """Count no bytes and no stranger any more."""
        self._bodies.hold(self._give_up, 0)
        self._strangers.hold(self._give_up, 0)
        self.is_stranger = False

    def lose(self) -> None:
        """Stop counting a lost connection and drop all references to it."""
        self.release()
        self._give_up = _do_nothing


def _do_nothing() -> None:
    """Do nothing: replaces the callback of a lost connection."""
