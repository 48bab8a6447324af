"""Ending with one clear line."""

from typing import NoReturn

import typer

from dunena.desktop.terminal import say

EXIT_FAILED = 1


def fail(reason: str) -> NoReturn:
    """Say why, on standard error, and exit with 1."""
    say(f"dunena: {reason}", error=True)
    raise typer.Exit(EXIT_FAILED)
