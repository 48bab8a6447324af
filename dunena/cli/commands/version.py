"""`dunena version` prints the version of this program; it has no options."""

from dunena import __version__
from dunena.desktop.terminal import say


def version() -> None:
    """Print the version.

    Example: dunena version
    """
    say(f"dunena {__version__}")
