"""The files of the test page, read once before the port opens.

A one-file executable can lose its unpacked files while it runs, to a cleaner of temporary folders
or an upgrade; the files read at the start are still served.
"""

import hashlib
import os
from pathlib import Path

from dunena import web
from dunena.server.http.message import Response

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

FOLDER = Path(web.__path__[0])
"""Folder of the files; a Python package is always unpacked."""

CLIENT_FOLDER = FOLDER / "client"
"""Name of the folder in it that is no part of the page: `client_files.py` serves it."""

_TAG_DIGITS = 16  # hexadecimal digits of a hash, enough to tell versions of a file apart

# The page loads nothing from other origins, and may connect to any server.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self' ws: wss:; frame-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def load_pages() -> dict[str, Response]:
    """Read the files of the test page; return their responses by path."""
    pages = {}
    # `Path.rglob` would take twice as long, and a start waits for this.
    for folder, _, names in os.walk(FOLDER):
        if folder == str(CLIENT_FOLDER):
            continue
        place = Path(folder).relative_to(FOLDER).as_posix()
        base = "/test" if place == "." else f"/test/{place}"
        for name in names:
            kind = CONTENT_TYPES.get(f".{name.rpartition('.')[2]}")
            if kind is None:
                continue
            content = Path(folder, name).read_bytes()
            response = Response(200, content, kind)
            # A browser checks for newer files at once; unchanged ones are not sent again.
            response.headers["Cache-Control"] = "no-cache"
            response.headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()[:_TAG_DIGITS]}"'
            if name.endswith(".html"):
                response.headers["Content-Security-Policy"] = _POLICY
            path = f"{base}/{name}"
            pages["/test" if path == "/test/index.html" else path] = response
    return pages
