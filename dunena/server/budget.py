"""A limit on memory that all connections share, and the choice of the one that gives it up."""

from collections.abc import Callable

GiveUp = Callable[[], None]


class Budget:
    """Limits the bytes of all holders together; above the limit the largest holder gives up.

    So a holder of little is never affected, and a budget that one holder exhausts is free again. Of
    equally large holders the first one gives up. Its ``give_up`` is called while another holder is
    running, and must not call `hold` with a larger size.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held: dict[GiveUp, int] = {}
        self.bytes = 0

    def __len__(self) -> int:
        """Return the number of holders that hold something."""
        return len(self._held)

    def hold(self, give_up: GiveUp, size: int) -> None:
        """Set the bytes that a holder holds now; 0 removes it. Make others give up if needed."""
        self.bytes += size - self._held.get(give_up, 0)
        if size:
            self._held[give_up] = size
        else:
            self._held.pop(give_up, None)
        while self.bytes > self._bytes_max:
            largest = max(self._held, key=self._held.__getitem__)
            self.bytes -= self._held.pop(largest)
            largest()
