"""`dunena del` deletes keys or parts of values; it connects by the options of `connect_options`."""

from dunena.cli.connect_options import Json, KeyNames, Ns, Path, Token, Url, http_client, open_store
from dunena.cli.failure import EXIT_NO_KEY, fail
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import say


def delete(
    keys: KeyNames,
    path: Path = None,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Delete keys, or a part of each value. Exit code 3: none of them was there.

    Example: dunena del score clock
    """
    if path is None:
        with http_client(url, token) as server:
            deleted = sum(server.delete(key, ns) for key in keys)
    else:
        with open_store(url, token, ns) as store:
            deleted = sum(store.delete(key, path=path) for key in keys)
    if as_json:
        say_json({"deleted": deleted})
    elif deleted and is_for_people():
        say(f"Deleted {deleted} of {len(keys)}.")
    if not deleted and path is not None:
        names = ", ".join(f'"{key}"' for key in keys)
        fail(f'Nothing at "{path}" of {names}', EXIT_NO_KEY)
    if not deleted:
        fail(f"there is no key {', '.join(keys)}", EXIT_NO_KEY)
