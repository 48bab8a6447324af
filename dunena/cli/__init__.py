"""The command line: one Typer app, each command in a file of its own.

A command imports what it needs when it runs, so that `dunena version` does not load a server.
"""

import os
import sys

# Typer's boxes need rich, which costs every start of the program more than they are worth.
os.environ.setdefault("TYPER_USE_RICH", "0")

import typer

from dunena.cli.serve import serve
from dunena.cli.version import version

app = typer.Typer(
    name="dunena",
    help="A realtime JSON store: shared live values over WebSocket and HTTP.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(version)


def main() -> None:
    """The program. Exit codes: 0 stopped on request, 1 failed, 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A path or key that a console's encoding lacks must not end the program.
            stream.reconfigure(errors="backslashreplace")
    app()
