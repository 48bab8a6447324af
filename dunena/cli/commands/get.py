"""`dunena get` prints a value; it connects by the options of `connect_options`."""

from typing import Annotated

from typer import Argument

from dunena.cli.connect_options import Json, Ns, Token, Url, http_client
from dunena.cli.failure import EXIT_NO_KEY, fail
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL


def get(
    key: Annotated[str, Argument(metavar="KEY", help="The key.", show_default=False)],
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print the value of a key as JSON. Exit code 3: there is none.

    Example: dunena get score
    """
    with http_client(url, token) as server:
        entry = server.entry(key, ns)
    if entry is None:
        fail(f"there is no key {key}", EXIT_NO_KEY)
    say_json(entry["value"], indented=is_for_people(as_json=as_json))
