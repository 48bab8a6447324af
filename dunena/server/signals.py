"""Being asked to stop, on every system."""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable

CONSOLE_CLOSE_SECONDS_MAX = 4.5
"""How long a closing console window is held open for the stop; Windows ends us after five."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Windows lacks SIGHUP, others SIGBREAK


class StopSignals:
    """Calls ``stop`` in the loop when the program is asked to end, once.

    SIGHUP is what a closed terminal sends, and stays ignored where it is (`nohup`). After the first
    signal none has any effect until the process has ended: nothing cuts a stop short, not even a
    second Ctrl+C.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
        self._loop = loop
        self._stop = stop
        self._numbers = [
            getattr(signal, name)
            for name in _NAMES
            if hasattr(signal, name) and not _is_to_be_survived(name)
        ]
        self._is_asked = False
        self._ended = threading.Event()
        self._console_handler: object = None
        if sys.platform == "win32":
            self._listen_on_windows()
        else:
            for number in self._numbers:
                loop.add_signal_handler(number, self._asked)

    def ended(self) -> None:
        """The stop is done: what comes now is ignored until the process has ended.

        A console window need not be held open any longer.
        """
        self._ended.set()
        if sys.platform != "win32":
            # Taking a handler away brings the default back for a moment: none may come through.
            signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
            for number in self._numbers:
                signal.signal(number, signal.SIG_IGN)
                self._loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)

    def _asked(self) -> None:
        # Asked again, as by one Ctrl+C that reaches us and is passed on by our parent, too: the
        # stop is on its way already.
        if not self._is_asked:
            self._is_asked = True
            self._stop()

    def _listen_on_windows(self) -> None:
        """The event loops there have no signal handlers of their own.

        A closed console window, a log-off and a shutdown are no signals at all: a handler in a
        thread of the system's is told, and the process ends when that returns.
        """
        if sys.platform == "win32":
            import ctypes

            for number in self._numbers:
                signal.signal(number, lambda *_: self._loop.call_soon_threadsafe(self._asked))
            first_that_ends_us = 2  # CTRL_CLOSE_EVENT; 0 and 1 are Ctrl+C and Ctrl+Break

            def told(event: int) -> int:
                if event < first_that_ends_us:
                    return 0
                self._loop.call_soon_threadsafe(self._asked)
                self._ended.wait(CONSOLE_CLOSE_SECONDS_MAX)
                return 1

            handler = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint32)(told)
            self._console_handler = handler  # or the system would call freed memory
            ctypes.windll.kernel32.SetConsoleCtrlHandler(handler, 1)


def _is_to_be_survived(name: str) -> bool:
    """Whether whoever started the program wants it to outlive its terminal."""
    return name == "SIGHUP" and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN
