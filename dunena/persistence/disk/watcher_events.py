"""The interface of watchers and the functions that they call."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

QUIET_SECONDS = 0.05
"""Time without events after which gathered ones are reported: a save makes several events."""

LONGEST_SECONDS = 0.4
"""Longest time for which events are gathered."""


class Told(NamedTuple):
    """The functions that a watcher calls, in its own thread.

    ``touched`` takes paths; ``missed`` is called when events were lost; ``ended`` takes the reason
    why the watcher reports nothing more.
    """

    touched: Callable[[set[str]], None]
    missed: Callable[[], None]
    ended: Callable[[str], None]


class Watcher(Protocol):
    """Reports touched paths until it is closed or has called ``ended``."""

    def close(self) -> None:
        """Stop watching; nothing is reported afterwards."""
