"""Where the executable starts: `python -m dunena`, arranged for a quick start."""

import gc
import sys


def run() -> None:
    """Import everything, and start."""
    # What is imported lives until the end: a collection while importing finds nothing, many times.
    gc.disable()
    from dunena.cli import main

    if sys.argv[1:2] in ([], ["serve"]):
        # What the server is made of; imported later it would be with collections.
        import dunena.cli.running  # noqa: F401
    gc.freeze()
    gc.enable()
    main()


if __name__ == "__main__":
    try:
        run()
    except KeyboardInterrupt:
        # Before there was a server to stop; the number is what shells report for Ctrl+C.
        sys.exit(130)
