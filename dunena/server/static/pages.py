"""The files of the test page: read once, before the port opens.

A program unpacked from one file can lose its unpacked files while it runs (a cleaner of temporary
folders, an upgrade): what was read at the start is served all the same.
"""

import hashlib
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
"""Where they are; a package of Python is always unpacked."""

CLIENT_FOLDER = FOLDER / "client"
"""The one folder in it that is no part of the page: `client_files.py` serves it."""

_TAG_DIGITS = 16  # of a hash: two versions of one file do not meet

# The page loads nothing from elsewhere, and talks to whatever server it is told to.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'"
)


def load_pages() -> dict[str, Response]:
    """Path -> response for everything the test page is made of."""
    pages = {}
    for file in FOLDER.rglob("*.*"):
        if file.suffix in CONTENT_TYPES and file.parent != CLIENT_FOLDER:
            content = file.read_bytes()
            response = Response(200, content, CONTENT_TYPES[file.suffix])
            # A newer version's files take effect at once; unchanged ones are not sent again.
            response.headers["Cache-Control"] = "no-cache"
            response.headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()[:_TAG_DIGITS]}"'
            if file.suffix == ".html":
                response.headers["Content-Security-Policy"] = _POLICY
            name = file.relative_to(FOLDER).as_posix()
            pages["/test" if name == "index.html" else f"/test/{name}"] = response
    return pages
