"""Being asked to stop, on every system."""

import asyncio
import signal
import sys
from collections.abc import Callable

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Windows lacks SIGHUP, others SIGBREAK


def on_stop_signal(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Call ``stop`` in the loop at every signal that asks the program to end.

    SIGHUP is what a closed terminal sends, SIGBREAK what Windows sends when a console window is
    closed; both mean the same as Ctrl+C here.
    """
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is None:
            continue
        if sys.platform == "win32":
            # The event loops there have no signal handlers of their own.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
        else:
            loop.add_signal_handler(number, stop)
