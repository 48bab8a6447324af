"""`dunena revert` stores an earlier value again; it connects by `connect_options`."""

from typing import Annotated

from typer import Argument

from dunena.cli.connect_options import Json, Ns, Token, Url, open_store
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL


def revert(
    key: Annotated[str, Argument(metavar="KEY", help="The key.", show_default=False)],
    rev: Annotated[
        int | None,
        Argument(
            metavar="[REV]",
            min=1,
            help="The revision; without it the value before the present one.",
            show_default=False,
        ),
    ] = None,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Store a value of the history again and print it.

    Example: dunena revert lower
    """
    with open_store(url, token, ns) as store:
        value = store.revert(key, rev)
    say_json(value, indented=is_for_people(as_json=as_json))
