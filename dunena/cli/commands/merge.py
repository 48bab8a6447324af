"""`dunena merge` merges fields into a value; it connects by `connect_options`."""

from typing import Annotated

from typer import Argument

from dunena.cli.connect_options import IfRev, Json, KeyName, Ns, Path, Token, Url, open_store
from dunena.cli.output import is_for_people, say_json
from dunena.cli.values import read_object
from dunena.client.address import DEFAULT_URL


def merge(
    key: KeyName,
    fields: Annotated[
        str,
        Argument(
            metavar="JSON",
            help="An object; null removes a field; @FILE: from a file; -: from a pipe.",
            show_default=False,
        ),
    ],
    path: Path = None,
    if_rev: IfRev = None,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Merge fields into a value and print it. Its other fields stay.

    What is no object, such as a list or a number, is replaced.

    Example: dunena merge lower '{"on": false}'
    """
    given = read_object(fields, "JSON")
    with open_store(url, token, ns) as store:
        merged = store.merge(key, given, path=path, if_rev=if_rev)
    say_json(merged, indented=is_for_people(as_json=as_json))
