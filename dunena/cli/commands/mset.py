"""`dunena mset` stores several values; it connects by the options of `connect_options`."""

from typing import Annotated

from typer import Argument, BadParameter

from dunena.cli.commands.set import Text, Ttl
from dunena.cli.connect_options import Json, Ns, Token, Url, check_text, http_client
from dunena.cli.output import is_for_people, say_json
from dunena.cli.values import read_ttl, read_value, say_taken_as_text
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import say


def mset(
    pairs: Annotated[
        list[str],
        Argument(
            metavar="KEY=VALUE...",
            help="Keys, each with its value.",
            show_default=False,
            callback=check_text,
        ),
    ],
    ns: Ns = "",
    ttl: Ttl = None,
    text: Text = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Store values, one after another. A value is JSON or else text; @FILE: from a file.

    Example: dunena mset home=2 guest=1 team='{"name": "Ada"}'
    """
    values = {}
    for pair in pairs:
        key, equals, typed = pair.partition("=")
        if not equals or not key:
            raise BadParameter(f"not KEY=VALUE: {pair}", param_hint="KEY=VALUE...")
        values[key] = read_value(typed, is_text=text, place=key)
    lifetime = read_ttl(ttl)
    with http_client(url, token) as server:
        for key, value in values.items():
            server.set(key, value.encoded, ns, lifetime)
    say_taken_as_text(key for key, value in values.items() if value.is_taken_as_text)
    if as_json:
        say_json({"stored": len(values)})
    elif is_for_people():
        say(f"Stored {len(values)}.")
