"""What a watcher of the folder says, and to whom."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

QUIET_SECONDS = 0.05
"""An editor's save is several events: they are taken together."""

LONGEST_SECONDS = 0.4
"""But never waited for longer than this."""


class Told(NamedTuple):
    """What a watcher calls, from its own thread.

    ``touched`` with paths; ``missed`` when things happened that it cannot name; ``ended`` with a
    reason when it will not say anything more.
    """

    touched: Callable[[set[str]], None]
    missed: Callable[[], None]
    ended: Callable[[str], None]


class Watcher(Protocol):
    """Tells until it is closed or has said that it ended."""

    def close(self) -> None:
        """End it; nothing is told afterwards."""
