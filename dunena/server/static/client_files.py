"""The files of the JavaScript client, read once before the port opens.

A JavaScript file is either a module or a classic script: `export` is an error in a classic script,
and a module without it exports nothing. So the same source is served in both forms; `as_classic`
makes the second one.
"""

import hashlib
from urllib.parse import urljoin, urlsplit

import orjson

from dunena.server.http.message import Request, Response
from dunena.server.static.pages import CLIENT_FOLDER

MODULE_PATH = "/dunena.js"
CLASSIC_PATH = "/dunena.classic.js"
TYPES_PATH = "/dunena.d.ts"
LOADER_PATH = "/obs-loader.html"

JAVASCRIPT = "text/javascript; charset=utf-8"
_TYPESCRIPT = "text/plain; charset=utf-8"  # `.ts` is registered for a video format
_HTML = "text/html; charset=utf-8"

_EXPORT = "export { connect, DunenaError };\n"
_MODULE_ADDRESS = "import.meta.url"
_LOADER_PAGE = '"http://localhost:3000/www/"'


class ClientFiles:
    """The constant files, and the loader page for OBS, which is made for each request."""

    def __init__(self, *, is_encrypted: bool) -> None:
        module = (CLIENT_FOLDER / "dunena.js").read_text("utf-8")
        types = (CLIENT_FOLDER / "dunena.d.ts").read_text("utf-8")
        self._loader = (CLIENT_FOLDER / "obs-loader.html").read_text("utf-8")
        self._scheme = "https" if is_encrypted else "http"
        self.constant = {
            MODULE_PATH: _file(module, JAVASCRIPT),
            CLASSIC_PATH: _file(as_classic(module), JAVASCRIPT),
            TYPES_PATH: _file(types, _TYPESCRIPT),
        }

    def loader(self, request: Request, _now: int) -> Response:
        """Answer with the page for OBS that waits for ``?page=``, a URL or a path on this server.

        Answer 400 if it is neither.
        """
        base = f"{self._scheme}://{request.headers.get('host', 'localhost')}/www/"
        try:
            page = urljoin(base, request.query().get("page", ""))
            is_web = urlsplit(page).scheme in ("http", "https")
        except ValueError:
            is_web = False
        if not is_web:
            return Response.error(400, "Not the address of a page")
        # "</script>" would end the script even inside a string.
        text = orjson.dumps(page).decode().replace("<", "\\u003c")
        response = _file(self._loader.replace(_LOADER_PAGE, text), _HTML)
        response.headers["Content-Disposition"] = 'attachment; filename="obs-loader.html"'
        return response


def as_classic(module: str) -> str:
    """Convert the module's source to a classic script with the global ``dunena``."""
    assert module.count(_EXPORT) == 1, "the module exports in one line"
    assert module.count(_MODULE_ADDRESS) == 1, "the module asks once where it came from"
    body = module.replace(_EXPORT, "globalThis.dunena = { connect, DunenaError };\n")
    body = body.replace(_MODULE_ADDRESS, "document.currentScript.src")
    return f"(() => {{\n{body}}})();\n"


def _file(text: str, content_type: str) -> Response:
    body = text.encode()
    etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    return Response(200, body, content_type, {"Cache-Control": "no-cache", "ETag": etag})
