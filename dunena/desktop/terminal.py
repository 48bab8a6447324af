"""The terminal that the program runs in: printing, questions, and keeping its window open."""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from dunena.desktop.onefile import unpacked_folder

OVERWRITTEN_COLUMNS = 60
"""Width to which an overwritten line is padded, so that it covers the line before."""


# Of the 256 colours, which no theme changes; a text console has sixteen.
_BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"
_BLACK_ON_WHITE_OF_16 = "\x1b[0;30;47m"
_USUAL = "\x1b[0m"

_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))

_lost: list[str] = []
"""Why standard output could not be written, if it could not."""

_STANDARD_OUTPUT = -11  # of GetStdHandle
_TAKES_ESCAPES = 4  # ENABLE_VIRTUAL_TERMINAL_PROCESSING


def was_double_clicked() -> bool:
    """Return whether the program was started from a desktop and not by a typed command.

    Windows opens a console for it, to which only this process (and the parent of a one-file
    executable) is attached. A Linux desktop starts it without a terminal, or in one that runs
    nothing else. macOS opens Terminal, whose new shell runs the file by its whole path in the home
    folder.
    """
    if sys.platform == "win32":
        return 0 < _console_process_count() <= (2 if unpacked_folder() else 1)
    if sys.platform == "darwin":
        return _is_terminal() and _is_new_mac_terminal()
    return _leads_session() if _is_terminal() else has_display()


def has_display() -> bool:
    """Return whether there is a display on which a browser could open a window."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def wait_for_key() -> None:
    """Wait until a key is pressed, in a window that would close when the program ends."""
    if not _is_terminal():
        return
    say("\nPress any key to close this window.")
    with suppress(OSError, ValueError, EOFError, KeyboardInterrupt):
        _read_key()


def say(text: str, *, error: bool = False, end: str = "\n") -> bool:
    """Print a text to standard output, or with ``error`` to standard error.

    Return False if it cannot be written: there is no such stream, or its reader is gone. After a
    failed write later calls print nothing and return True, so a command that only prints may end at
    the first False.
    """
    stream = sys.stderr if error else sys.stdout
    if stream is None:
        return False
    try:
        print(text, end=end, file=stream, flush=True)
    except (OSError, ValueError) as failure:
        if not error:
            _note_lost(failure)
        silence(stream.fileno())
        return False
    return True


def lost_output(failure: OSError | None = None) -> str:
    """Return why standard output could not be written; "" if it could, or if its reader is gone.

    Write what is still buffered first: the interpreter would do so after the exit code is decided.
    ``failure`` is an error that nobody expected: that of a full disk, with no file named, is from a
    write that did not go through `say`.
    """
    if failure is not None and failure.filename is None and failure.errno in _FULL:
        _note_lost(failure)
    stream = sys.stdout
    if stream is not None and not stream.closed:
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            _note_lost(error)
            silence(stream.fileno())
    return _lost[0] if _lost else ""


def _note_lost(failure: OSError | ValueError) -> None:
    # A terminal that was closed (EIO) has no reader either.
    if isinstance(failure, OSError) and not (is_reader_gone(failure) or failure.errno == errno.EIO):
        _lost.append(failure.strerror or str(failure))


def is_reader_gone(error: OSError) -> bool:
    """Return whether a write failed as nobody reads the pipe any more: `head` does so.

    Windows says that the argument is invalid.
    """
    gone = isinstance(error, BrokenPipeError)
    return gone or (sys.platform == "win32" and error.errno == errno.EINVAL)


def silence(number: int) -> None:
    """Redirect a dead stream's descriptor to the null device, so that no later write fails.

    The interpreter's flush at exit would fail otherwise.
    """
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


def overwrite(text: str) -> bool:
    """Show a line that the next line replaces; return False if standard output is no terminal."""
    stream = sys.stdout
    if stream is None or not stream.isatty():
        return False
    try:
        print(f"\r{text.ljust(OVERWRITTEN_COLUMNS)}\r", end="", file=stream, flush=True)
    except (OSError, ValueError):
        silence(stream.fileno())
    return True


def shows_codes() -> bool:
    """Return whether standard output is a terminal that shows half blocks, black on white."""
    stream = sys.stdout
    if stream is None or not stream.isatty() or "NO_COLOR" in os.environ:
        return False
    if sys.platform != "win32" and os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        "▀▄█".encode(stream.encoding)
    except (UnicodeError, LookupError):
        return False
    return _takes_escapes()


def say_black_on_white(lines: list[str]) -> bool:
    """Print lines of one width, black on white in any theme; return False if they do not fit."""
    try:
        screen = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    if len(lines) >= screen.lines or max(map(len, lines)) > screen.columns:
        return False
    colours = _BLACK_ON_WHITE_OF_16 if os.environ.get("TERM") == "linux" else _BLACK_ON_WHITE
    return all(say(f"{colours}{line}{_USUAL}") for line in lines)


def ask_yes(question: str) -> bool | None:
    """Ask a yes-or-no question; return None if there is no terminal to ask on."""
    if not _is_terminal():
        return None
    say(f"{question} [y/N] ", end="")
    with suppress(OSError, ValueError, EOFError):
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    return False


def _takes_escapes() -> bool:
    """Return whether the terminal takes escapes for colours; Windows' console has to be told."""
    if sys.platform != "win32":
        return True
    import ctypes

    kernel, mode = ctypes.windll.kernel32, ctypes.c_uint32()
    console = kernel.GetStdHandle(_STANDARD_OUTPUT)
    return bool(
        kernel.GetConsoleMode(console, ctypes.byref(mode))
        and kernel.SetConsoleMode(console, mode.value | _TAKES_ESCAPES)
    )


def _is_terminal() -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return sys.stdin.isatty() and sys.stdout.isatty()
    return False


def _console_process_count() -> int:
    """Return the number of processes attached to this console; 0 without a console."""
    if sys.platform != "win32":
        return 0
    import ctypes

    slots = (ctypes.c_uint32 * 8)()
    return int(ctypes.windll.kernel32.GetConsoleProcessList(slots, len(slots)))


def _leads_session() -> bool:
    """Return whether the terminal runs only this program: otherwise a shell leads its session."""
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
