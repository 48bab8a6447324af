"""What a start of the program does before anything else, whatever the command."""

import io
import os
import sys
from typing import TYPE_CHECKING

from dunena.cli.start_mode import DOUBLE_CLICKED, TYPED, StartMode
from dunena.desktop.onefile import reopen_standard_files, restore_library_path
from dunena.desktop.terminal import was_double_clicked

if TYPE_CHECKING:
    from dunena.cli.plain_serve import PlainServe

COMPLETION_VARIABLE = "_DUNENA_COMPLETE"
"""Environment variable that a shell sets to ask for completions."""


def command_words() -> list[str]:
    """Return the words of the command line without the program's name.

    The executable started without arguments means `serve`.
    """
    return ["serve"] if is_named_alone() else sys.argv[1:]


def is_named_alone() -> bool:
    """Return whether the executable was started without arguments."""
    return len(sys.argv) == 1 and getattr(sys, "frozen", False)


def start_mode() -> StartMode:
    """Return how the program was started."""
    return DOUBLE_CLICKED if is_named_alone() and was_double_clicked() else TYPED


def plain_serve() -> "PlainServe | None":
    """Return what to serve, if the command line is one that needs no typer."""
    words = command_words()
    if words[:1] != ["serve"] or COMPLETION_VARIABLE in os.environ:
        return None
    from dunena.cli.plain_serve import read  # other commands need no table of settings

    return read(words, os.environ)


def set_up_process() -> None:
    """Make standard files, variables and streams ready for a command."""
    reopen_standard_files()
    restore_library_path()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A path or key that the console's encoding cannot express must not end the program.
            # A file or a pipe gets UTF-8, as values are stored, whatever the locale says.
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
