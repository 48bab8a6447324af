"""`dunena revert` stores an earlier value again; it connects by `connect_options`."""

from typing import Annotated

from typer import Argument

from dunena.cli.connect_options import (
    IfRev,
    Json,
    KeyName,
    Ns,
    Path,
    Token,
    Url,
    check_integer,
    open_store,
)
from dunena.cli.failure import EXIT_NO_KEY, fail
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.client.errors import RequestError

_NO_REVISION, _NOTHING_THERE = "no_rev", "no_path"


def revert(
    key: KeyName,
    rev: Annotated[
        int | None,
        Argument(
            metavar="[REV]",
            min=1,
            help="The revision; without it the newest value that differs from the present.",
            show_default=False,
            callback=check_integer,
        ),
    ] = None,
    path: Path = None,
    if_rev: IfRev = None,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Store a value of the history again, or a part of it, and print it.

    It goes back from what stands now, also if somebody else wrote that; --if-rev prevents it.
    Exit code 3: there is no such value.

    Example: dunena revert lower
    """
    with open_store(url, token, ns) as store:
        try:
            value = store.revert(key, rev, path=path, if_rev=if_rev)
        except RequestError as error:
            if error.code == _NOTHING_THERE:
                fail(str(error), EXIT_NO_KEY)
            if error.code != _NO_REVISION:
                raise
            which = "earlier value that differs" if rev is None else f"value of revision {rev}"
            fail(f"the history of {key} has no {which}", EXIT_NO_KEY)
    say_json(value, indented=is_for_people(as_json=as_json))
