"""Addresses below this server to which a browser is sent on; no I/O.

A redirect is relative to the page that asks for it: so it works below the path of a proxy, and
cannot lead to another server, whatever the text (RFC 3986, 5.2.2: a relative path keeps scheme and
host).
"""

import re

_PATH_CHARS_MAX = 1000
_is_path = re.compile(r"/(?![/\\])[!-\[\]-~]*").fullmatch  # printable ASCII, no backslash


def read_own_path(text: object) -> str | None:
    """Return a path of this server with its query, as in an address; None for any other value."""
    if not isinstance(text, str) or len(text) > _PATH_CHARS_MAX or _is_path(text) is None:
        return None
    return text


def relative_to(page: str, path: str) -> str:
    """Return the address of ``path`` as a page at the path ``page`` has to name it.

    Both begin with a slash, and neither names the server.
    """
    depth = page.partition("?")[0].count("/") - 1
    return f"{'../' * depth or './'}{path.removeprefix('/')}"
