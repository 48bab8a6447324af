"""`dunena stats` prints the answer of `/stats`; it connects by `connect_options`."""

from dunena.cli.connect_options import Json, Token, Url, http_client
from dunena.cli.output import say_answer
from dunena.client.address import DEFAULT_URL


def stats(as_json: Json = False, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Print the server's counters.

    Example: dunena stats
    """
    with http_client(url, token) as server:
        say_answer(server.ask("GET", "/stats"), as_json=as_json)
