"""`dunena open` opens a server's test page; it connects by `connect_options`."""

from dunena.cli.connect_options import Token, Url, http_client, options_of
from dunena.cli.failure import fail
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import say


def open(url: Url = DEFAULT_URL, token: Token = None) -> None:  # noqa: A001 - the command's name
    """Open the test page of a server in the browser.

    Example: dunena open
    """
    from dunena.desktop.browser import open_page

    page = f"{options_of(url, token).address.url}/test"
    with http_client(url, token) as server:
        server.ask("GET", "/health/live")
    say(page)
    if not open_page(page):
        fail("there is no browser here; open the address above where there is one")
