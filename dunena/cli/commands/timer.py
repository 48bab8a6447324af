"""`dunena timer` changes a timer; it connects by the options of `connect_options`."""

from enum import StrEnum
from typing import Annotated

from typer import Argument, Option

from dunena.cli.connect_options import IfRev, Json, KeyName, Ns, Path, Token, Url, open_store
from dunena.cli.output import is_for_people, say_json
from dunena.cli.values import read_difference, read_number
from dunena.client.address import DEFAULT_URL


class TimerAction(StrEnum):
    """What can be done to a timer."""

    START = "start"
    STOP = "stop"
    TOGGLE = "toggle"
    SET = "set"
    ADD = "add"


def timer(
    key: KeyName,
    do: Annotated[
        TimerAction,
        Argument(metavar="DO", help="start, stop, toggle, set or add.", show_default=False),
    ],
    ms: Annotated[
        str | None,
        Option(
            "--ms",
            help="What it shows, or what add adds: 1500 (ms), 30s, 5m, -10s.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        str | None,
        Option("--rate", help="1: it counts up; -1: it counts down, to 0.", show_default=False),
    ] = None,
    path: Path = None,
    if_rev: IfRev = None,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Change a timer by the server's clock, a new one if there is none, and print it.

    Example: dunena timer clock set --ms 5m --rate -1
    """
    shown_ms = None if ms is None else read_difference(ms, "--ms")
    per_ms = None if rate is None else read_number(rate, "--rate")
    with open_store(url, token, ns) as store:
        changed = store.timer(key, do.value, ms=shown_ms, rate=per_ms, path=path, if_rev=if_rev)
    say_json(changed, indented=is_for_people(as_json=as_json))
