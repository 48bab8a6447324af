"""`dunena publish` sends a message to a channel; it connects by `connect_options`."""

from typing import Annotated

from typer import Argument

from dunena.cli.commands.set import Text
from dunena.cli.connect_options import Token, Url, check_text, open_store
from dunena.cli.output import is_for_people
from dunena.cli.values import read_value
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import say


def publish(
    channel: Annotated[
        str,
        Argument(metavar="CHANNEL", help="The channel.", show_default=False, callback=check_text),
    ],
    data: Annotated[
        str,
        Argument(
            metavar="DATA",
            help="JSON, or else text; @FILE: from a file; -: from a pipe.",
            show_default=False,
        ),
    ],
    text: Text = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Send a message to all who are subscribed to a channel now.

    Nothing is stored. `dunena events CHANNEL` prints what comes.

    Example: dunena publish cheer '{"by": "Ada"}'
    """
    message = read_value(data, is_text=text, place="DATA")
    with open_store(url, token, "") as store:
        store.publish(channel, message.encoded)
    if message.is_taken_as_text:
        note = f"{channel} was sent text, since it is no JSON; --text is for text of any kind"
        say(note, error=True)
    if is_for_people():
        say(f"Published to {channel}.")
