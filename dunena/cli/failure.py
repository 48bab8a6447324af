"""Ending with one clear line."""

import sys
from typing import NoReturn

import typer

EXIT_FAILED = 1


def fail(reason: str) -> NoReturn:
    """Say why, on standard error, and exit with 1."""
    print(f"dunena: {reason}", file=sys.stderr)
    raise typer.Exit(EXIT_FAILED)
