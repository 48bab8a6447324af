"""What all connections together may hold of something, and who goes when it is too much."""

from collections.abc import Callable

GiveUp = Callable[[], None]


class Budget:
    """So many bytes for all holders together; past that the one that holds the most gives up.

    So whoever holds little is never the one, and a budget that somebody uses up is free again. Of
    several the one that came first goes. A holder is told by its ``give_up``, while somebody else
    is at work, and must not ask for more then.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held: dict[GiveUp, int] = {}
        self.bytes = 0

    def __len__(self) -> int:
        """The number of holders that hold something."""
        return len(self._held)

    def hold(self, give_up: GiveUp, size: int) -> None:
        """Set what a holder holds now, in bytes; 0 takes it off the list."""
        self.bytes += size - self._held.get(give_up, 0)
        if size:
            self._held[give_up] = size
        else:
            self._held.pop(give_up, None)
        while self.bytes > self._bytes_max:
            largest = max(self._held, key=self._held.__getitem__)
            self.bytes -= self._held.pop(largest)
            largest()
