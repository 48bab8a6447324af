"""`dunena set` stores a value; it connects by the options of `connect_options`."""

from typing import Annotated, Any

from typer import Argument, BadParameter, Option

from dunena.cli.connect_options import (
    IfRev,
    Json,
    KeyName,
    Ns,
    Path,
    Token,
    Url,
    http_client,
    open_store,
)
from dunena.cli.output import is_for_people, say_json
from dunena.cli.values import read_json, read_ttl, read_value, say_taken_as_text
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
    if_rev: IfRev = None,
    ns: Ns = "",
    ttl: Ttl = None,
    then: Annotated[
        str | None,
        Option(
            "--then",
            metavar="JSON",
            help="With --ttl: merged into the value at the end.",
            show_default=False,
        ),
    ] = None,
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
    later = None if then is None else read_json(then, "--then")
    if later is not None and not lifetime:
        raise BadParameter("it needs --ttl, the time after which it is merged", param_hint="--then")
    answer: dict[str, Any]
    if path is None and if_rev is None and later is None:
        with http_client(url, token) as server:
            answer = server.set(key, stored.encoded, ns, lifetime, durable=durable)
    else:
        with open_store(url, token, ns) as store:
            store.set(
                key,
                stored.encoded,
                path=path,
                if_rev=if_rev,
                ttl=lifetime,
                then=later,
                durable=durable,
            )
        answer = {"key": key, "value": stored.encoded}
        answer |= {name: given for name, given in (("path", path), ("ns", ns)) if given}
    if stored.is_taken_as_text:
        say_taken_as_text([key])
    if as_json:
        say_json(answer)
    elif is_for_people():
        say(f"Stored {key}.")
