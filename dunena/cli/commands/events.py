"""`dunena events` prints every change; it connects by the options of `connect_options`."""

from dunena.cli.connect_options import Json, Token, Url, exit_on_error, options_of
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.desktop.onefile import end_with_parent
from dunena.desktop.terminal import say


def events(as_json: Json = False, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Print every change of any key, without its value.

    It goes on until Ctrl+C. Into a pipe it is one JSON object a line.

    Example: dunena events
    """
    from time import localtime, strftime

    from dunena.client.blocking import Store

    end_with_parent()
    is_shown = is_for_people(as_json=as_json)
    options = options_of(url, token)
    with exit_on_error(options), Store(options) as store, store.events() as changes:
        for event in changes:
            if is_shown:
                at = strftime("%H:%M:%S", localtime(event.timestamp / 1000))
                name = f"{event.ns}/{event.key}" if event.ns else event.key or ""
                size = "" if event.size is None else f"  {event.size:,} bytes"
                is_heard = say(f"{at}  {event.event.ljust(7)}  {name}{size}".rstrip())
            else:
                is_heard = say_json(event._asdict())
            if not is_heard:
                return
