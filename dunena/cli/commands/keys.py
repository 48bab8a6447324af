"""`dunena keys` lists keys; it connects by the options of `connect_options`."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument

from dunena.cli.connect_options import Json, Ns, Token, Url, check_text, http_client
from dunena.cli.output import is_for_people, say_json, say_table
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import say

if TYPE_CHECKING:
    from dunena.client.http import Http

_SHOWN_MAX = 1000
_PREVIEW_CHARS = 60


def keys(
    pattern: Annotated[
        str,
        Argument(
            metavar="[PATTERN]",
            help="Which keys: * is any text, ? one character.",
            callback=check_text,
        ),
    ] = "*",
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List keys in their order.

    On a terminal it is a table, into a pipe a JSON list.

    Example: dunena keys 'team-*'
    """
    with http_client(url, token) as server:
        if is_for_people(as_json=as_json):
            _show(server, pattern, ns)
        else:
            say_json(server.keys(pattern, ns))


def _show(server: "Http", pattern: str, ns: str) -> None:
    query: dict[str, object] = {"pattern": pattern, "ns": ns, "count": _SHOWN_MAX}
    page = server.ask("GET", "/entries", query)
    rows = [_row(entry, page["timestamp"]) for entry in page["entries"]]
    if rows:
        say_table(("key", "bytes", "expires", "value"), rows)
    total = page["total"]
    more = total - len(rows)
    counted = f"{total:,} key{'' if total == 1 else 's'}"
    say(counted + (f"; {more:,} more with --json" if more else ""))


def _row(entry: dict[str, Any], now: int) -> tuple[object, ...]:
    expires_at = entry["expiresAt"]
    expires = "" if expires_at is None else f"in {max(0, expires_at - now) / 1000:,.0f} s"
    value = entry["preview"]
    if len(value) > _PREVIEW_CHARS:
        value = f"{value[:_PREVIEW_CHARS]}..."
    return entry["key"], entry["size"], expires, value
