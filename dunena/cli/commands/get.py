"""`dunena get` prints a value; it connects by the options of `connect_options`."""

from typing import Annotated, Any

from typer import Option

from dunena.cli.connect_options import Json, KeyName, Ns, Path, Token, Url, http_client
from dunena.cli.failure import EXIT_NO_KEY, fail
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL


def get(
    key: KeyName,
    path: Path = None,
    rev: Annotated[
        bool, Option("--rev", help="Print the revision too: {value, rev}, for --if-rev.")
    ] = False,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print the value of a key, or a part of it, as JSON. Exit code 3: there is none.

    Example: dunena get score
    """
    with http_client(url, token) as server:
        entry = server.entry(key, ns)
    if entry is None:
        fail(f"there is no key {key}", EXIT_NO_KEY)
    try:
        value = _part_of(entry["value"], path)
    except LookupError:
        fail(f'Nothing at "{path}" of "{key}"', EXIT_NO_KEY)
    shown = {"value": value, "rev": entry["revision"]} if rev else value
    say_json(shown, indented=is_for_people(as_json=as_json))


def _part_of(value: Any, path: str | None) -> Any:
    """Return the part of a value at a path; raise `LookupError` if there is none."""
    if path is None:
        return value
    from dunena.dialects.ops.pointer import parse_pointer, value_at

    return value_at(value, parse_pointer(path))
