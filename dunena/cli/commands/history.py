"""`dunena history` lists the values of a key; it connects by `connect_options`."""

from typing import Annotated

from typer import Option

from dunena.cli.connect_options import Json, KeyName, Ns, Token, Url, check_integer, open_store
from dunena.cli.failure import EXIT_NO_KEY, fail
from dunena.cli.output import is_for_people, say_json, say_table
from dunena.client.address import DEFAULT_URL

_VALUE_CHARS_MAX = 60


def history(
    key: KeyName,
    limit: Annotated[
        int | None,
        Option(
            "--limit", min=1, help="The newest so many.", show_default=False, callback=check_integer
        ),
    ] = None,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the present and the earlier values of a key, newest first.

    On a terminal it is a table, into a pipe a JSON list. Exit code 3: there are none.

    Example: dunena history lower --limit 5
    """
    from time import localtime, strftime

    import orjson

    with open_store(url, token, ns) as store:
        entries = store.history(key, limit)
    if not entries:
        fail(f"there is no key {key}", EXIT_NO_KEY)
    if not is_for_people(as_json=as_json):
        say_json([entry._asdict() for entry in entries])
        return
    rows = []
    for entry in entries:
        value = orjson.dumps(entry.value).decode()
        if len(value) > _VALUE_CHARS_MAX:
            value = f"{value[:_VALUE_CHARS_MAX]}..."
        written = strftime("%Y-%m-%d %H:%M:%S", localtime(entry.timestamp / 1000))
        rows.append((str(entry.rev), written, value))
    say_table(("revision", "time", "value"), rows)
