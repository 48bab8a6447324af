"""`dunena events` prints changes, or messages; it connects by the options of `connect_options`."""

from typing import TYPE_CHECKING, Annotated

from typer import Argument

from dunena.cli.connect_options import Json, Token, Url, check_text, exit_on_error, options_of
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.desktop.onefile import end_with_parent
from dunena.desktop.terminal import say

if TYPE_CHECKING:
    from dunena.client.feeds import ChannelMessage, Event


def events(
    channel: Annotated[
        str | None,
        Argument(
            metavar="[CHANNEL]",
            help="Print what is published to it instead.",
            show_default=False,
            callback=check_text,
        ),
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print every change of any key, without its value, or the messages of a channel.

    It goes on until Ctrl+C. Into a pipe it is one JSON object a line. A message has in "missed" how
    many before it did not come; null: nobody knows, as the connection was lost.

    Example: dunena events cheer
    """
    from dunena.client.blocking import Store
    from dunena.client.feeds import CACHE_EVENTS

    end_with_parent()
    is_shown = is_for_people(as_json=as_json)
    options = options_of(url, token)
    with exit_on_error(options), Store(options) as store:
        if channel in (None, CACHE_EVENTS):
            for event in store.events():
                if not (say(_line_of(event)) if is_shown else say_json(event._asdict())):
                    return
        else:
            for message in store.subscribe(channel):
                if not _say_message(message, is_shown=is_shown):
                    return


def _line_of(event: "Event") -> str:
    name = f"{event.ns}/{event.key}" if event.ns else event.key or ""
    size = "" if event.size is None else f"  {event.size:,} bytes"
    return f"{_time_of(event.timestamp)}  {event.event.ljust(7)}  {name}{size}".rstrip()


def _say_message(message: "ChannelMessage", *, is_shown: bool) -> bool:
    """Print a message; return whether anybody reads it."""
    from math import isfinite

    import orjson

    data, missed, timestamp = message
    count = f"{missed:,}" if isfinite(missed) else None
    if not is_shown:
        # An infinite number is no JSON.
        shown = missed if count else None
        return say_json({"data": data, "missed": shown, "timestamp": timestamp})
    if missed:
        say(f"{_time_of(timestamp)}  ({count or 'unknown how many'} missed)")
    return say(f"{_time_of(timestamp)}  {orjson.dumps(data).decode()}")


def _time_of(timestamp: int) -> str:
    from time import localtime, strftime

    return strftime("%H:%M:%S", localtime(timestamp / 1000))
