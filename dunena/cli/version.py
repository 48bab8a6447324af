"""`dunena version`."""

from dunena import __version__


def version() -> None:
    """Print the version."""
    print(f"dunena {__version__}")
