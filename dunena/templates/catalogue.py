"""Reading the templates and writing copies of them into a folder of pages.

A template is a folder here. `template.json` names its pages and has the values that a copy begins
with; the files in `shared` are written beside those of each template, so that a copy needs nothing
outside its folder.
"""

import errno
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dunena.windows_names import is_device

TEMPLATES = ("scoreboard", "lower-third", "countdown", "poll", "buzzer", "ticker")
"""Names of the templates, in the order in which they are shown."""

DESCRIPTION = "template.json"
"""The file of a template, and of each copy, that describes it; the panel reads its values."""

_FOLDER = Path(__file__).parent
_SHARED = "shared"
_OVERLAY_SCRIPT = "overlay.js"
_PREVIEWED = frozenset({"overlay.html", "overlay.css", _OVERLAY_SCRIPT, "roll.js", DESCRIPTION})

_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_NAME_LENGTH_MAX = 40


class UnknownTemplateError(ValueError):
    """There is no template of this name."""


class TemplatesGoneError(OSError):
    """The program's files are gone, which a cleaner of temporary folders may have taken."""


class BadNameError(ValueError):
    """A copy cannot have this name; the text says why."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a template is: its pages are names of files, ``audience`` is "" if it has none.

    ``values`` are the keys of a new copy, in the namespace with the name of the copy's folder.
    """

    name: str
    title: str
    text: str
    overlay: str
    panel: str
    audience: str
    values: dict[str, Any]


def read_template(name: str) -> Template:
    """Return the template of that name; raise `UnknownTemplateError` if there is none."""
    if name not in TEMPLATES:
        raise UnknownTemplateError(f"There is no template {name!r}: there are {_listed()}")
    fields = json.loads((_FOLDER / name / DESCRIPTION).read_text("utf-8"))
    return Template(
        name,
        fields["title"],
        fields["text"],
        fields["overlay"],
        fields["panel"],
        fields.get("audience", ""),
        fields["values"],
    )


def read_templates() -> list[Template]:
    """Return all templates, in the order in which they are shown."""
    return [read_template(name) for name in TEMPLATES]


def read_preview(template: str, file: str) -> bytes | None:
    """Return a file of what shows a template before there is a copy of it; None if there is none.

    It has the template's own overlay, with a stand-in for the store. Raise `OSError` if the files
    are gone, which a cleaner of temporary folders may have taken.
    """
    if template not in TEMPLATES or file not in _PREVIEWED:
        return None
    if file == _OVERLAY_SCRIPT:
        return (_FOLDER / "preview.js").read_bytes()
    own = _FOLDER / template / file
    return (own if own.is_file() else _FOLDER / _SHARED / file).read_bytes()


def write_template(template: str, pages: Path, name: str = "") -> Path:
    """Write a copy of a template into a folder of pages, which is made if there is none.

    The copy is a folder of the given ``name``, or of that of the template; return its path. It
    appears as a whole: a program that is stopped while it writes leaves no half of it.

    Raise `UnknownTemplateError`, `BadNameError`, `FileExistsError` if there is something of that
    name, which is left alone, `TemplatesGoneError`, and `OSError` if it cannot be written.
    """
    described = read_template(template)
    check_name(name or template)
    target = pages / (name or template)
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    files = _read_files(described)
    pages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=pages, prefix=".new-", ignore_cleanup_errors=True) as work:
        copy = Path(work, target.name)
        copy.mkdir()
        for file, content in files.items():
            copy.joinpath(file).write_bytes(content)
        try:
            copy.rename(target)
        except OSError as error:
            if target.exists():  # somebody else made one in the same moment
                raise FileExistsError(f"{target} exists already") from error
            raise
    return target


def _read_files(template: Template) -> dict[str, bytes]:
    """Return the content of every file of a copy, by its name."""
    folders = (_FOLDER / _SHARED, _FOLDER / template.name)
    try:
        files = {file.name: file.read_bytes() for one in folders for file in one.iterdir()}
    except OSError as error:
        raise TemplatesGoneError(*error.args) from error
    if not files.keys() >= set(filter(None, (template.overlay, template.panel, template.audience))):
        raise TemplatesGoneError(errno.ENOENT, os.strerror(errno.ENOENT))
    return files


def check_name(name: str) -> None:
    """Raise `BadNameError` unless a copy may have this name.

    It is the name of a folder on every system, of a namespace, and a part of an address that
    people type.
    """
    if not name or len(name) > _NAME_LENGTH_MAX or not _NAME_LETTERS.issuperset(name):
        raise BadNameError(
            f"A name has up to {_NAME_LENGTH_MAX} of these: small letters a to z, digits and -"
        )
    if is_device(name):
        raise BadNameError(f"Windows keeps the name {name} for itself")


def _listed() -> str:
    return ", ".join(TEMPLATES)
