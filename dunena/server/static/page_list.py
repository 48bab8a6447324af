"""What a browser is shown in the folder of pages where there is no page: a list of those there are.

An address that leads nowhere is most often one that was mistyped, or a file that was saved in
another folder. So both say what there is, and who may administer the server is told where.
"""

import os
from html import escape
from pathlib import Path
from urllib.parse import quote

from dunena.dialects.grants import Right
from dunena.readable_text import readable_text
from dunena.server.http.message import Request, Response
from dunena.windows_names import is_plain_name

PAGES_MAX = 200
"""How many pages are listed: more than a show has, and few enough to be found at once."""

_FOLDERS_DEEP_MAX = 2
_SUFFIXES = (".html", ".htm")
_HTML = "text/html; charset=utf-8"

# It is as plain as can be: it loads nothing.
_DOCUMENT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
  :root {{ color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }}
  body {{ max-width: 44rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }}
  h1 {{ font-size: 1.4rem; }}
  ul {{ padding: 0; list-style: none; }}
  li a {{ display: block; padding: 12px 0; }}
  code {{ font-size: 0.95em; }}
</style>
<h1>{title}</h1>
{text}
"""


def wants_page(request: Request) -> bool:
    """Return whether a browser asks for a page, and not a program or a page for one of its files.

    It asks for any file of a page too, but then not for HTML.
    """
    return "text/html" in request.headers.get("accept", "")


def find_pages(root: Path) -> tuple[list[str], bool]:
    """Return the paths below ``root`` of up to `PAGES_MAX` pages, and whether there are more.

    Paths are in order, with slashes.
    These are files that a request could get: no hidden ones, and none behind a link. Raise
    `OSError` if ``root`` cannot be read; a folder in it that cannot be is left out.
    """
    found: list[str] = []
    folders = [("", 0)]
    while folders and len(found) <= PAGES_MAX:
        folder, depth = folders.pop(0)
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError:
            if not folder:
                raise
            continue
        for entry in entries:
            if not is_plain_name(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False) and depth < _FOLDERS_DEEP_MAX:
                folders.append((f"{folder}{entry.name}/", depth + 1))
            elif entry.is_file(follow_symlinks=False) and entry.name.lower().endswith(_SUFFIXES):
                found.append(f"{folder}{entry.name}")
    return found[:PAGES_MAX], len(found) > PAGES_MAX


def list_pages(request: Request, root: Path) -> Response:
    """Answer with a list of the pages of the folder; raise `OSError` if it cannot be read."""
    pages, has_more = find_pages(root)
    links = "\n".join(f'<li><a href="{quote(page)}">{escape(page)}</a></li>' for page in pages)
    text = f"<ul>\n{links}\n</ul>" if pages else "<p>There are no pages yet.</p>"
    if has_more:
        text += f"\n<p>Only the first {PAGES_MAX} are listed.</p>"
    body = _DOCUMENT.format(title="Pages", text=f"{text}\n{_where(request, root)}")
    return Response(200, body.encode(), _HTML, {"Cache-Control": "no-cache"})


def say_missing(request: Request, root: Path | None) -> Response:
    """Answer a browser that there is no such page, and what it could have meant.

    ``root`` is None on a server without a folder of pages.
    """
    if root is None:
        text = (
            "<p>This server shows no pages of yours yet. Make some on its "
            f'<a href="{_up(request)}test">test page</a>, or start it with '
            "<code>--www FOLDER</code>.</p>"
        )
        return Response(404, _DOCUMENT.format(title="No pages yet", text=text).encode(), _HTML)
    text = (
        f"<p>There is no file <code>{escape(request.path)}</code>. Capital letters count.</p>\n"
        f'<p><a href="{_up(request)}www/">All pages</a></p>\n{_where(request, root)}'
    )
    return Response(404, _DOCUMENT.format(title="No such page", text=text).encode(), _HTML)


def _up(request: Request) -> str:
    """Return the server's address, relative: a proxy may show it below another path."""
    return "../" * request.path.removeprefix("/").count("/")


def _where(request: Request, root: Path) -> str:
    if Right.ADMIN not in request.grant.rights:
        return ""
    return f"<p>Pages are files in the folder <code>{escape(readable_text(root))}</code>.</p>"
