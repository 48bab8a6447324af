"""`dunena version` prints the version of this program, and finds out whether there is a newer one.

It sends nothing without `--check`.
"""

from typing import Annotated

from typer import Exit, Option

from dunena import __version__
from dunena.cli.failure import EXIT_FAILED, EXIT_NEWER, EXIT_NO_SERVER, fail
from dunena.desktop.terminal import say


def version(
    check: Annotated[
        bool, Option("--check", help="Ask GitHub whether there is a newer one, by one request.")
    ] = False,
    as_json: Annotated[bool, Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Print the version.

    Exit codes of --check: 0 this is the newest, 1 not known, 4 no answer, 5 there is a newer one.

    Example: dunena version --check
    """
    if not as_json:
        say_version()
    if not check:
        if as_json:
            _say_json({"version": __version__})
        return
    from dunena.update_check import UpdateCheckError, find_newest

    try:
        newest = find_newest()
    except UpdateCheckError as error:
        fail(str(error), EXIT_NO_SERVER if error.is_unreachable else EXIT_FAILED)
    if as_json:
        _say_json(
            {
                "version": __version__,
                "newest": newest.version,
                "isNewer": newest.is_newer,
                "url": newest.url,
            }
        )
    elif newest.is_newer:
        say(f"Version {newest.version} is available: {newest.url}")
    elif newest.version == __version__:
        say("This is the newest version.")
    else:
        say(f"The newest release is {newest.version}, which is older than this.")
    if newest.is_newer:
        raise Exit(EXIT_NEWER)


def say_version() -> None:
    """Print the version and nothing else."""
    say(f"dunena {__version__}")


def _say_json(fields: dict[str, object]) -> None:
    from dunena.cli.output import say_json

    say_json(fields)
