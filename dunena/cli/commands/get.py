"""`dunena get` prints a value; it connects by the options of `connect_options`."""

from collections.abc import Callable
from typing import Any

from typer import BadParameter

from dunena.cli.connect_options import Json, KeyName, Ns, Path, Token, Url, http_client
from dunena.cli.failure import EXIT_NO_KEY, fail
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL


def get(
    key: KeyName,
    path: Path = None,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print the value of a key, or a part of it, as JSON. Exit code 3: there is none.

    Example: dunena get score
    """
    part_of = _reader_of(path)
    with http_client(url, token) as server:
        entry = server.entry(key, ns)
    if entry is None:
        fail(f"there is no key {key}", EXIT_NO_KEY)
    try:
        value = part_of(entry["value"])
    except LookupError:
        fail(f'Nothing at "{path}" of "{key}"', EXIT_NO_KEY)
    say_json(value, indented=is_for_people(as_json=as_json))


def _reader_of(path: str | None) -> Callable[[Any], Any]:
    """Return what finds the part of a value at a path, and raises `LookupError` without one."""
    if path is None:
        return lambda value: value
    from dunena.dialects.errors import ClientError
    from dunena.dialects.ops.pointer import parse_pointer, value_at

    try:
        pointer = parse_pointer(path)
    except ClientError as error:
        raise BadParameter(f"{error}: {path}", param_hint="--path") from None
    return lambda value: value_at(value, pointer)
