"""The terminal around the program: is there one, whose is it, and keeping its window open."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from dunena.desktop.onefile import unpacked_folder

OVERWRITTEN_COLUMNS = 60
"""Room for a line that is replaced, and cleared with it."""


def was_double_clicked() -> bool:
    """Whether the program was started from a desktop and not by a command somebody typed.

    Windows opens a console of its own for it: nobody but we (and, for one file, our parent) is
    attached. A Linux desktop starts it without any terminal, or in one that runs nothing else.
    macOS opens its Terminal, whose new shell runs the file by its whole path in the home folder.
    """
    if sys.platform == "win32":
        return 0 < _console_process_count() <= (2 if unpacked_folder() else 1)
    if sys.platform == "darwin":
        return _is_terminal() and _is_new_mac_terminal()
    return _leads_session() if _is_terminal() else has_display()


def has_display() -> bool:
    """Whether a browser could show a window."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def wait_for_key() -> None:
    """Keep a window that would close with the program open until a key is pressed in it."""
    if not _is_terminal():
        return
    say("\nPress any key to close this window.")
    with suppress(OSError, ValueError, EOFError, KeyboardInterrupt):
        _read_key()


def say(text: str, *, error: bool = False, end: str = "\n") -> bool:
    """Print for a person; where nobody listens any more, go on without.

    False at the moment that turns out: who has nothing else to do may end then.
    """
    stream = sys.stderr if error else sys.stdout
    if stream is None:
        return False
    try:
        print(text, end=end, file=stream, flush=True)
    except (OSError, ValueError):
        _silence(stream.fileno())
        return False
    return True


def overwrite(text: str) -> bool:
    """Show a line that the next one takes the place of; False where that cannot be seen."""
    stream = sys.stdout
    if stream is None or not stream.isatty():
        return False
    try:
        print(f"\r{text.ljust(OVERWRITTEN_COLUMNS)}\r", end="", file=stream, flush=True)
    except (OSError, ValueError):
        _silence(stream.fileno())
    return True


def ask_yes(question: str) -> bool | None:
    """Ask a person; None where there is nobody to ask."""
    if not _is_terminal():
        return None
    say(f"{question} [y/N] ", end="")
    with suppress(OSError, ValueError, EOFError):
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    return False


def _silence(number: int) -> None:
    """Nothing written to a dead stream may fail again, the interpreter's last flush included."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


def _is_terminal() -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return sys.stdin.isatty() and sys.stdout.isatty()
    return False


def _console_process_count() -> int:
    """Processes attached to this console; 0 without one."""
    if sys.platform != "win32":
        return 0
    import ctypes

    slots = (ctypes.c_uint32 * 8)()
    return int(ctypes.windll.kernel32.GetConsoleProcessList(slots, len(slots)))


def _leads_session() -> bool:
    """Whether the terminal runs nothing but us: a shell would lead its session."""
    if sys.platform == "win32":
        return False
    leader = os.getsid(0)
    return leader == os.getpid() or (unpacked_folder() is not None and leader == os.getppid())


def _is_new_mac_terminal() -> bool:
    with suppress(OSError, RuntimeError):
        return (
            "TERM_PROGRAM" in os.environ
            and os.environ.get("SHLVL") == "1"
            and Path.cwd() == Path.home()
            and Path(sys.executable).parent != Path.home()
        )
    return False


def _read_key() -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.getwch()
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        termios.tcflush(number, termios.TCIFLUSH)
        os.read(number, 1)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
