"""`dunena flush` deletes all keys of a server; it connects by `connect_options`."""

from typing import Annotated

from typer import Option

from dunena.cli.connect_options import Json, Token, Url, http_client
from dunena.cli.failure import EXIT_USAGE, fail
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import ask_yes, say


def flush(
    yes: Annotated[bool, Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Delete every key of every namespace. Asks first, so a script needs --yes.

    Example: dunena flush --yes
    """
    with http_client(url, token) as server:
        if not yes:
            count = server.ask("GET", "/info")["entries"]
            answer = ask_yes(f"Delete all {count:,} keys of {url}?")
            if answer is None:
                fail("nobody can be asked here; --yes deletes without asking", EXIT_USAGE)
            if not answer:
                fail("nothing was deleted")
        done = server.ask("POST", "/flush")
    if as_json:
        say_json(done)
    elif is_for_people():
        say("All keys are deleted.")
