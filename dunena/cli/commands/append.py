"""`dunena append` appends values to a list; it connects by `connect_options`."""

from typing import Annotated

from typer import Argument, BadParameter, Option

from dunena.cli.commands.set import Text
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
from dunena.cli.output import is_for_people, say_json
from dunena.cli.values import read_value, say_taken_as_text
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import say


def append(
    key: KeyName,
    values: Annotated[
        list[str],
        Argument(
            metavar="VALUE...",
            help="Each is JSON, or else text; @FILE: from a file.",
            show_default=False,
        ),
    ],
    path: Path = None,
    count_max: Annotated[
        int | None,
        Option(
            "--max",
            min=1,
            help="Keep only the newest of the list.",
            show_default=False,
            callback=check_integer,
        ),
    ] = None,
    if_rev: IfRev = None,
    ns: Ns = "",
    text: Text = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Append values to a list, an empty one if there is none, and print its length.

    Example: dunena append chat '{"from": "Ada", "text": "hi"}' --max 50
    """
    for typed in values:
        if typed.startswith("--") and not text:  # no JSON begins so: it is an option's typo
            raise BadParameter(f"no such option: {typed}", param_hint="VALUE...")
    items = [read_value(typed, is_text=text, place="VALUE...") for typed in values]
    with open_store(url, token, ns) as store:
        encoded = [item.encoded for item in items]
        length = store.append(key, *encoded, max=count_max, path=path, if_rev=if_rev)
    if any(item.is_taken_as_text for item in items):
        say_taken_as_text([key])
    if length is None:  # the token may not read it
        say_json(None)
    elif is_for_people(as_json=as_json):
        say(f"{key} has {length:,} value{'' if length == 1 else 's'}.")
    else:
        say_json(length)
