"""What the command lines of the benchmarks print, and how they read a number."""

import argparse
import sys


def say(text: str) -> None:
    """Print a result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Print to the errors what goes on, which is no result."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def refuse(program: str, why: str) -> int:
    """Print why a program ends; the exit code."""
    tell(f"{program}: {why}")
    return 2


def positive(text: str) -> int:
    """A number of an option, at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
