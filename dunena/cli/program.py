"""The Typer app; each of its commands is a module of `dunena.cli.commands`.

A command imports what it needs when it runs, so that `dunena version` does not load a server.
"""

import io
import os
import sys
from typing import Annotated

# Typer draws boxes with rich, whose import would slow down every start of the program.
os.environ.setdefault("TYPER_USE_RICH", "0")

import typer

from dunena import NAME
from dunena.cli.command_table import COMPLETION_VARIABLE, LazyGroup, set_up_completion
from dunena.cli.start_mode import DOUBLE_CLICKED, TYPED
from dunena.desktop.onefile import reopen_standard_files, restore_library_path
from dunena.desktop.terminal import was_double_clicked

EXIT_INTERRUPTED = 130  # the code that shells report for a program that Ctrl+C ended

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
    """Return the name of the command to run; "" if there is none."""
    if is_named_alone():
        return "serve"
    return sys.argv[1] if len(sys.argv) > 1 else ""


def is_named_alone() -> bool:
    """Return whether the executable was started without arguments, which means `serve`."""
    return len(sys.argv) == 1 and getattr(sys, "frozen", False)


def run() -> None:
    """Run the command that the command line names, and exit with its code."""
    reopen_standard_files()
    restore_library_path()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A path or key that the console's encoding cannot express must not end the program.
            # A file or a pipe gets UTF-8, as values are stored, whatever the locale says.
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    if COMPLETION_VARIABLE in os.environ:
        set_up_completion()
    # The help of an executable names it after its file.
    program_name = None if getattr(sys, "frozen", False) else NAME
    try:
        if is_named_alone():
            start_mode = DOUBLE_CLICKED if was_double_clicked() else TYPED
            app(["serve"], obj=start_mode, prog_name=program_name)
        else:
            # On Windows click would replace `*`, `%NAME%`, `$NAME` and `~` in keys, patterns and
            # values by files, variables and folders, which nobody expects of a program there.
            app(windows_expand_args=False, prog_name=program_name)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
