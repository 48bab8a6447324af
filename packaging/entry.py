"""Where the executable starts: `python -m dunena`, for which Ctrl+C is arranged."""

import os
import signal
import sys
from typing import NoReturn

# What shells report for Ctrl+C.
EXIT_INTERRUPTED = 130


def leave(*_: object) -> NoReturn:
    """Ctrl+C while importing: nothing is open yet, and an exception would be the importer's."""
    os._exit(EXIT_INTERRUPTED)


def interrupt_once(*_: object) -> NoReturn:
    """Ctrl+C before there is a server; the second one must not interrupt the end.

    On Windows there always is a second: a terminal tells both processes of the single file, and the
    parent tells its child again.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def run() -> None:
    """Import everything, and start."""
    signal.signal(signal.SIGINT, leave)
    # Where a launcher unpacked the program and became it (launcher/): the file of the user's.
    sys.executable = os.environ.pop("_DUNENA_FILE", sys.executable)
    from dunena import cli

    cli.load()
    signal.signal(signal.SIGINT, interrupt_once)
    cli.run()


if __name__ == "__main__":
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
