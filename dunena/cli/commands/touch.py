"""`dunena touch` changes the expiry of a key; it connects by `connect_options`."""

from typing import Annotated

from typer import Argument

from dunena.cli.connect_options import Json, KeyName, Ns, Token, Url, open_store
from dunena.cli.failure import EXIT_NO_KEY, fail
from dunena.cli.output import is_for_people, say_json
from dunena.cli.values import read_time
from dunena.client.address import DEFAULT_URL
from dunena.client.errors import RequestError
from dunena.desktop.terminal import say

_NOTHING_THERE = "no_path"


def touch(
    key: KeyName,
    ttl: Annotated[
        str,
        Argument(
            metavar="TTL", help="Time to live: 1500 (ms), 30s, 5m; 0: for ever.", show_default=False
        ),
    ],
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Set when a key expires; its value stays. Exit code 3: there is no such key.

    Example: dunena touch banner 30s
    """
    lifetime = read_time(ttl, "TTL")
    with open_store(url, token, ns) as store:
        try:
            store.touch(key, lifetime)
        except RequestError as error:
            if error.code != _NOTHING_THERE:
                raise
            fail(f"there is no key {key}", EXIT_NO_KEY)
    if as_json:
        say_json({"key": key, "ttl": lifetime})
    elif is_for_people():
        say(f"{key} expires in {lifetime / 1000:,g} s." if lifetime else f"{key} never expires.")
