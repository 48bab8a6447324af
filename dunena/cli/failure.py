"""Ending with one clear line."""

from typing import NoReturn

import typer

from dunena.desktop.terminal import say

EXIT_FAILED = 1
EXIT_NO_KEY = 3
EXIT_NO_SERVER = 4


def fail(reason: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say why, on standard error, and exit."""
    say(f"dunena: {reason}", error=True)
    raise typer.Exit(code)
