"""Ending the program with one line that says why."""

from typing import NoReturn

from dunena.desktop.terminal import say

EXIT_FAILED = 1
EXIT_NO_KEY = 3
EXIT_NO_SERVER = 4
EXIT_NEWER = 5  # of the program, by `dunena version --check`


def fail(reason: str, code: int = EXIT_FAILED) -> NoReturn:
    """Print ``reason`` to standard error and raise `typer.Exit` with ``code``."""
    import typer  # imported here, as a server starts without it

    say(f"dunena: {reason}", error=True)
    raise typer.Exit(code)
