"""Ending the program with one line that says why."""

from typing import NoReturn

from dunena.desktop.terminal import say

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_KEY = 3
EXIT_NO_SERVER = 4
EXIT_NEWER = 5
EXIT_INTERRUPTED = 130  # the code that shells report for a program that Ctrl+C ended

EXIT_CODES = {
    0: "done",
    EXIT_FAILED: "failed, or a problem was found; one line on standard error says what",
    EXIT_USAGE: "wrong usage",
    EXIT_NO_KEY: "no such key, or no such part or earlier value of it",
    EXIT_NO_SERVER: "no server there",
    EXIT_NEWER: "there is a newer version (`dunena version --check`)",
    EXIT_INTERRUPTED: "ended by Ctrl+C",
}
"""What each exit code of the program means."""


def fail(reason: str, code: int = EXIT_FAILED) -> NoReturn:
    """Print ``reason`` to standard error and raise `typer.Exit` with ``code``."""
    import typer  # imported here, as a server starts without it

    say(f"dunena: {reason}", error=True)
    raise typer.Exit(code)
