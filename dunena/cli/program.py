"""The Typer app; each of its commands is a module of `dunena.cli.commands`.

A command imports what it needs when it runs, so that `dunena version` does not load a server.
"""

import os
import sys
from typing import Annotated

# Typer draws boxes with rich, whose import would slow down every start of the program.
os.environ.setdefault("TYPER_USE_RICH", "0")

import typer

from dunena import NAME
from dunena.cli.command_table import LazyGroup, set_up_completion
from dunena.cli.start import COMPLETION_VARIABLE, command_words, is_named_alone, start_mode

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
        from dunena.cli.commands.version import say_version

        say_version()
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


def run() -> None:
    """Run the command that the command line names, and exit with its code."""
    if COMPLETION_VARIABLE in os.environ:
        set_up_completion()
    # The help of an executable names it after its file.
    program_name = None if getattr(sys, "frozen", False) else NAME
    if is_named_alone():
        app(command_words(), obj=start_mode(), prog_name=program_name)
    else:
        # On Windows click would replace `*`, `%NAME%`, `$NAME` and `~` in keys, patterns and
        # values by files, variables and folders, which nobody expects of a program there.
        app(windows_expand_args=False, prog_name=program_name)
