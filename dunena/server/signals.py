"""Handling the signals and console events that ask the program to stop."""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable

CONSOLE_CLOSE_SECONDS_MAX = 4.5
"""Time for which the closing of a console window is delayed for the stop; Windows ends the process
after five seconds."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Windows lacks SIGHUP, others SIGBREAK


class StopSignals:
    """Calls ``stop`` in the loop, once, when the program is asked to end.

    A closed terminal sends SIGHUP, which stays ignored if it was ignored at the start (`nohup`).
    After the first signal no further one has an effect until the process has ended: nothing
    interrupts the stop, not even a second Ctrl+C.
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
        """Ignore all signals until the process has ended, as the stop is done.

        The closing of a console window is no longer delayed.
        """
        self._ended.set()
        if sys.platform != "win32":
            # Removing a handler restores the default for a moment, so signals are blocked before.
            signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
            for number in self._numbers:
                signal.signal(number, signal.SIG_IGN)
                self._loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)

    def _asked(self) -> None:
        # A second request, as when a Ctrl+C reaches this process and is also passed on by its
        # parent, has no effect: the stop has begun.
        if not self._is_asked:
            self._is_asked = True
            self._stop()

    def _listen_on_windows(self) -> None:
        """Install handlers on Windows, where event loops do not support signals.

        A closed console window, a log-off and a shutdown are no signals: the system calls a handler
        in a thread of its own, and ends the process when it returns.
        """
        if sys.platform == "win32":
            import ctypes

            for number in self._numbers:
                signal.signal(number, lambda *_: self._loop.call_soon_threadsafe(self._asked))
            first_that_ends_us = 2  # CTRL_CLOSE_EVENT; 0 is Ctrl+C, 1 is Ctrl+Break

            def told(event: int) -> int:
                if event < first_that_ends_us:
                    return 0
                self._loop.call_soon_threadsafe(self._asked)
                self._ended.wait(CONSOLE_CLOSE_SECONDS_MAX)
                return 1

            handler = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint32)(told)
            self._console_handler = handler  # otherwise the system would call freed memory
            ctypes.windll.kernel32.SetConsoleCtrlHandler(handler, 1)


def _is_to_be_survived(name: str) -> bool:
    """Return whether a signal stays ignored: SIGHUP, if the program was started so (`nohup`)."""
    return name == "SIGHUP" and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN
