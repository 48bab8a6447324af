"""`dunena info` prints the answer of `/info`; it connects by `connect_options`."""

from dunena.cli.connect_options import Json, Token, Url, http_client
from dunena.cli.output import say_answer
from dunena.client.address import DEFAULT_URL


def info(as_json: Json = False, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Print what the server is.

    Example: dunena info
    """
    with http_client(url, token) as server:
        say_answer(server.ask("GET", "/info"), as_json=as_json)
