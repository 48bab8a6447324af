"""Making pages from templates, for who asks with a browser.

Functions that read or write files run in a worker thread, as those of `folder` do.
"""

from pathlib import Path

import orjson

from dunena.readable_text import readable_text
from dunena.server.http.message import EXISTS, Prepared, Response
from dunena.server.static.folder import WwwFolder
from dunena.server.static.media_types import media_type
from dunena.templates import OWN_PAGES
from dunena.templates.catalogue import (
    BadNameError,
    Template,
    TemplatesGoneError,
    UnknownTemplateError,
    check_name,
    read_preview,
    read_template,
    read_templates,
    write_template,
)

# The pages have their scripts and styles in them. They are shown in the test page alone.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src data:; frame-ancestors 'self'"
)

_NOTE = "dunena made this folder, so `dunena serve` beside it shows it by itself at /www/.\n"


class NewPages:
    """Lists the templates and makes copies of them.

    ``place`` is where a folder of pages is made if the server has none; None for nowhere.
    """

    def __init__(self, www: WwwFolder, place: Path | None) -> None:
        self._www = www
        self._place = place

    def list_templates(self, *, is_for_admin: bool) -> Prepared:
        """Answer with all templates, which of them are there already, and whether more may be."""
        folder = self._www.root or self._place
        try:
            templates = read_templates()
        except OSError:
            return _gone()
        fields: dict[str, object] = {
            "templates": [_described(one, folder) for one in templates],
            "mayMake": is_for_admin and self._refusal(folder) is None,
        }
        if is_for_admin:
            fields["folder"] = None if folder is None else readable_text(folder)
        return Prepared(Response(200, orjson.dumps(fields)))

    def _refusal(self, folder: Path | None) -> str | None:
        """Return why no pages can be made in the folder; None if they can."""
        if folder is None:
            return "This server has no folder of pages: start it with --www FOLDER"
        if self._www.root is None and folder.exists() and not folder.joinpath(OWN_PAGES).exists():
            # Its content is somebody's, who has not asked for it to be shown.
            shown = readable_text(folder)
            return f"The folder {shown} is there already: start with --www {shown} to use it"
        return None

    def preview(self, path: str) -> Prepared:
        """Answer with a file that shows a template: ``path`` is its name, a slash and the file."""
        template, _, file = path.partition("/")
        try:
            content = read_preview(template, file)
        except OSError:
            return _gone()
        if content is None:
            return Prepared(Response.error(404, "Not found"))
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
        return Prepared(Response(200, content, media_type(file), headers))

    def make(self, template: str, name: str) -> Prepared:
        """Answer with the pages of a new copy, or with why there is none."""
        try:
            described = read_template(template)
            check_name(name or template)
        except (UnknownTemplateError, BadNameError) as error:
            return Prepared(Response.error(400, str(error)))
        except OSError:
            return _gone()
        folder = self._www.root or self._place
        refusal = self._refusal(folder)
        if folder is None or refusal is not None:
            return Prepared(Response.error(409, refusal or ""))
        shown = readable_text(folder)
        is_new = self._www.root is None
        try:
            made = write_template(template, folder, name)
            if is_new:
                folder.joinpath(OWN_PAGES).write_text(_NOTE, encoding="utf-8")
        except FileExistsError:
            text = f"There is a {name or template} among your pages already"
            return Prepared(Response.error(409, text, fields={"code": EXISTS}))
        except TemplatesGoneError:
            return _gone()
        except OSError as error:
            text = f"{shown} cannot be written: {error.strerror or error}"
            return Prepared(Response.error(507, text))
        self._www.root = folder
        fields = _described(described, folder, made.name)
        return Prepared(Response(201, orjson.dumps(fields)))


def _gone() -> Prepared:
    """Answer that the program's files are gone, which a cleaner of folders may have taken."""
    return Prepared(Response.error(404, "The templates are gone: start the server again"))


def _described(template: Template, folder: Path | None, name: str = "") -> dict[str, object]:
    """Return a template, or a copy of it, for programs; addresses are relative to the server's."""
    copy = name or template.name
    pages = {"overlay": template.overlay, "panel": template.panel, "audience": template.audience}
    return {
        "template": template.name,
        "name": copy,
        "title": template.title,
        "text": template.text,
        "isMade": folder is not None and folder.joinpath(copy).exists(),
        "pages": {role: f"www/{copy}/{page}" for role, page in pages.items() if page},
    }
