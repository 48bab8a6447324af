"""`dunena invite` makes an address that signs one phone in; it connects by `connect_options`."""

from typing import Annotated

from typer import Argument, Option

from dunena.cli.connect_options import Json, Token, Url, check_text, http_client, options_of
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import say, shows_codes


def invite(
    page: Annotated[
        str,
        Argument(
            metavar="PAGE", help="The page to open: /www/score/panel.html", callback=check_text
        ),
    ] = "/test",
    token_name: Annotated[
        str | None,
        Option(
            help="Whose rights it gets: a name in the file of tokens. Default: those of --token",
            show_default=False,
            callback=check_text,
        ),
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Make an address that signs one phone in, once, and show it as a QR code.

    Example: dunena invite /www/scoreboard/panel.html
    """
    import orjson

    wanted = {"page": f"/{page.removeprefix('/')}", "token": token_name}
    with http_client(url, token) as server:
        made = server.ask("POST", "/invites", body=orjson.dumps(wanted))
    if not is_for_people(as_json=as_json):
        say_json(made)
        return
    address = (made["urls"] or [f"{options_of(url, token).address.url}{made['path']}"])[0]
    if shows_codes():
        from dunena.cli.code import show_code

        show_code(address)
    say(f"{address}\nIt works once, within {made['seconds'] // 60} minutes.")
    if not made["urls"]:
        say("Only this machine reaches the server: share it first, under Server on its test page.")
