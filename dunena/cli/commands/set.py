"""`dunena set` stores a value; it connects by the options of `connect_options`."""

from typing import Annotated, Any

from typer import Argument, Option

from dunena.cli.connect_options import (
    Json,
    KeyName,
    Ns,
    Path,
    Token,
    Url,
    check_integer,
    http_client,
    open_store,
)
from dunena.cli.output import is_for_people, say_json
from dunena.cli.values import read_ttl, read_value, say_taken_as_text
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import say

Text = Annotated[bool, Option("--text", help="The value is text and no JSON.")]
Ttl = Annotated[
    str | None, Option("--ttl", help="Time to live: 1500 (ms), 30s, 5m, 2h.", show_default=False)
]


def set(  # noqa: A001 - the name of the command
    key: KeyName,
    value: Annotated[
        str,
        Argument(
            metavar="VALUE",
            help="JSON, or else text; @FILE: from a file; -: from a pipe.",
            show_default=False,
        ),
    ],
    path: Path = None,
    if_rev: Annotated[
        int | None,
        Option(
            "--if-rev",
            min=0,
            help="Only if the key is at this revision; 0: if it does not exist.",
            show_default=False,
            callback=check_integer,
        ),
    ] = None,
    ns: Ns = "",
    ttl: Ttl = None,
    text: Text = False,
    durable: Annotated[
        bool, Option("--durable", help="Wait until it is forced to the device.")
    ] = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Store a value, or a part of one.

    Example: dunena set score '{"home": 2, "guest": 1}'
    """
    stored, lifetime = read_value(value, is_text=text), read_ttl(ttl)
    answer: dict[str, Any]
    if path is None and if_rev is None:
        with http_client(url, token) as server:
            answer = server.set(key, stored.encoded, ns, lifetime, durable=durable)
    else:
        with open_store(url, token, ns) as store:
            store.set(key, stored.encoded, path=path, if_rev=if_rev, ttl=lifetime, durable=durable)
        answer = {"key": key, "value": stored.encoded}
        answer |= {name: given for name, given in (("path", path), ("ns", ns)) if given}
    if stored.is_taken_as_text:
        say_taken_as_text([key])
    if as_json:
        say_json(answer)
    elif is_for_people():
        say(f"Stored {key}.")
