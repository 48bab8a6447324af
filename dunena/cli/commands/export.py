"""`dunena export` writes all entries to a file; it connects by `connect_options`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument

from dunena.cli.connect_options import Json, Token, Url, http_client, options_of
from dunena.cli.failure import fail
from dunena.cli.output import is_for_people, say_json
from dunena.cli.permitted import Permitted
from dunena.client.address import DEFAULT_URL
from dunena.client.errors import NoAnswerError
from dunena.desktop.terminal import say

if TYPE_CHECKING:
    from dunena.client.http import Http


def export(
    file: Annotated[
        Path, Argument(metavar="FILE", help="values.jsonl or values.zip.", dir_okay=False)
    ],
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Write everything to a file: JSON Lines or a zip.

    All keys of all namespaces, with their expiry. What was interrupted goes on where it stopped
    when it is started again. Where the token may not read all keys, it exports those that it may,
    says so and exits with 1.

    Example: dunena export values.zip
    """
    from dunena.cli.archive import PartialExport, line
    from dunena.cli.progress import ProgressLine

    server_name = options_of(url, token).address.authority
    with http_client(url, token) as server:
        info = server.ask("GET", "/info")
        permitted = Permitted.of(info)
        if not permitted.may("read"):
            fail("the token may read nothing, so nothing was exported; give another with --token")
        namespaces = _namespaces(server)
        try:
            draft = PartialExport(file, server_name)
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}")
        total = sum(namespaces.values())
        try:
            with ProgressLine("Exporting", total) as progress:
                for ns in sorted(namespaces):
                    for entry in _entries(server, ns, draft.last, draft.in_last_ns):
                        deadline = _by_wall_clock(entry["expiresAt"], info["clockStepMs"])
                        raw = line(ns, entry, deadline)
                        draft.add((ns, entry["key"]), raw)
                        progress(draft.count)
                    draft.flush()
            draft.finish()
        except NoAnswerError:
            raise
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}")
        finally:
            draft.close()
    if not permitted.is_everything and info["entries"] > total:
        fail(
            f"{draft.count:,} keys are in {file}, and {info['entries'] - total:,} of the server's "
            f"{info['entries']:,} are not: the token sees only {permitted.shown}; "
            "give one for all with --token"
        )
    if as_json:
        say_json({"exported": draft.count, "file": str(file)})
    elif is_for_people():
        say(f"Exported {draft.count:,} keys to {file}.")


def _by_wall_clock(expires_at: int | None, step_ms: int) -> int | None:
    """Convert a deadline (Unix ms) of the server's clock to one of the wall clock.

    The server's clock ignores steps of the wall clock: it lags it by ``step_ms``.
    """
    return None if expires_at is None else expires_at + step_ms


def _namespaces(server: "Http") -> dict[str, int]:
    """Return the number of keys of each namespace; "" is the key of those without namespace."""
    found: dict[str, int] = {}
    while True:
        query: dict[str, object] = {"offset": len(found), "count": server.PAGE_MAX}
        page = server.ask("GET", "/namespaces", query)
        found.update((one["ns"], one["keys"]) for one in page["namespaces"])
        if len(found) >= page["total"] or not page["namespaces"]:
            return found


def _entries(
    server: "Http", ns: str, last: tuple[str, str] | None, passed: int
) -> Iterator[dict[str, Any]]:
    """Yield the entries of a namespace with their values, in the order of keys, after ``last``.

    A page is requested by position, and positions shift when keys are added or deleted meanwhile:
    so each page begins with the last key of the page before, or further back if it is not there.
    """
    if last is not None and last[0] > ns:
        return
    after = last[1] if last is not None and last[0] == ns else None
    position = passed if after is not None else 0
    while True:
        start = max(0, position - 1)
        page = _page(server, ns, start)
        while start and (not page or after is None or page[0]["key"] > after):
            start = max(0, start - server.PAGE_MAX)
            page = _page(server, ns, start)
        position = start + len(page)
        fresh = [entry for entry in page if after is None or entry["key"] > after]
        for entry in fresh:
            if "session" in entry:
                continue  # it ends with a client, and is in no backup
            complete_line = _with_value(server, ns, entry)
            if complete_line is not None:
                yield complete_line
        if len(page) < server.PAGE_MAX:
            return
        after = page[-1]["key"]


def _page(server: "Http", ns: str, start: int) -> list[dict[str, Any]]:
    query: dict[str, object] = {"ns": ns, "offset": start, "count": server.PAGE_MAX}
    entries: list[dict[str, Any]] = server.ask("GET", "/entries", query)["entries"]
    return entries


def _with_value(server: "Http", ns: str, entry: dict[str, Any]) -> dict[str, Any] | None:
    """Add the value to an entry of a listing; return None if the key was deleted meanwhile."""
    import orjson

    if "thenPreview" in entry:
        return server.entry(entry["key"], ns)
    preview: str = entry["preview"]
    try:
        value = orjson.loads(preview)
        text = value if isinstance(value, str) else preview
        if len(text.encode()) == entry["size"]:  # short enough to be shown whole
            return {**entry, "value": orjson.Fragment(preview)}
    except orjson.JSONDecodeError:
        pass
    return server.entry(entry["key"], ns)
