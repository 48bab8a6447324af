"""`dunena revert` stores an earlier value again; it connects by `connect_options`."""

from typing import Annotated

from typer import Argument

from dunena.cli.connect_options import Json, KeyName, Ns, Token, Url, check_integer, open_store
from dunena.cli.failure import EXIT_NO_KEY, fail
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.client.errors import RequestError

_NO_REVISION = "no_rev"


def revert(
    key: KeyName,
    rev: Annotated[
        int | None,
        Argument(
            metavar="[REV]",
            min=1,
            help="The revision; without it the value before the present one.",
            show_default=False,
            callback=check_integer,
        ),
    ] = None,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Store a value of the history again and print it. Exit code 3: there is none.

    Example: dunena revert lower
    """
    with open_store(url, token, ns) as store:
        try:
            value = store.revert(key, rev)
        except RequestError as error:
            if error.code != _NO_REVISION:
                raise
            which = "no earlier value" if rev is None else f"no value of revision {rev}"
            fail(f"the history of {key} has {which}", EXIT_NO_KEY)
    say_json(value, indented=is_for_people(as_json=as_json))
