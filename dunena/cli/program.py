"""The Typer app, each of whose commands is in a file of its own.

A command imports what it needs when it runs, so that `dunena version` does not load a server.
"""

import io
import os
import sys
from typing import Annotated

# Typer's boxes need rich, which costs every start of the program more than they are worth.
os.environ.setdefault("TYPER_USE_RICH", "0")

import typer

from dunena import NAME
from dunena.cli.command_table import COMPLETION_VARIABLE, LazyGroup, set_up_completion
from dunena.cli.start_mode import DOUBLE_CLICKED, TYPED
from dunena.desktop.onefile import reopen_standard_files, restore_library_path
from dunena.desktop.terminal import was_double_clicked

EXIT_INTERRUPTED = 130  # what a shell reports for a program that Ctrl+C ended before it served

app = typer.Typer(
    name="dunena",
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from dunena.cli.commands.version import version

        version()
        raise typer.Exit


@app.callback()
def dunena(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """A realtime JSON store: shared live values over WebSocket and HTTP.

    `dunena serve` runs a server; most of the others ask one that runs.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such key, 4 no server there.
    """


def first_word() -> str:
    """The command that is asked for; "" if none is."""
    if is_named_alone():
        return "serve"
    return sys.argv[1] if len(sys.argv) > 1 else ""


def is_named_alone() -> bool:
    """Whether it is the one file, by a double click or its name alone: that starts it to serve."""
    return len(sys.argv) == 1 and getattr(sys, "frozen", False)


def run() -> None:
    """Do what the command line says."""
    reopen_standard_files()
    restore_library_path()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A path or key that a console's encoding lacks must not end the program. What is no
            # console gets values as they are stored, also where the locale says otherwise.
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    if COMPLETION_VARIABLE in os.environ:
        set_up_completion()
    # An executable is called what its file is called.
    program_name = None if getattr(sys, "frozen", False) else NAME
    try:
        if is_named_alone():
            start_mode = DOUBLE_CLICKED if was_double_clicked() else TYPED
            app(["serve"], obj=start_mode, prog_name=program_name)
        else:
            # On Windows, `*`, `%NAME%`, `$NAME` and `~` in keys, patterns and values would be
            # replaced by files, variables and folders: in a shell there that is nobody's wish.
            app(windows_expand_args=False, prog_name=program_name)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
