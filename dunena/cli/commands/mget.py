"""`dunena mget` prints several values; it connects by the options of `connect_options`."""

from dunena.cli.connect_options import Json, KeyNames, Ns, Token, Url, http_client
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL


def mget(
    keys: KeyNames,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print the values of keys as a JSON object.

    A key without a value has null.

    Example: dunena mget score clock
    """
    with http_client(url, token) as server:
        entries = {key: server.entry(key, ns) for key in keys}
    values = {key: None if entry is None else entry["value"] for key, entry in entries.items()}
    say_json(values, indented=is_for_people(as_json=as_json))
