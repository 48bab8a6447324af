"""The promises of files: how the file of a key is named, and what else users and tools name."""

import json

from dunena import DEFAULT_FOLDER
from dunena.backup import form
from dunena.dialects.grants import Right
from dunena.persistence.disk.journal_format import READABLE_VERSIONS
from dunena.persistence.file_system import (
    key_file_name,
    namespace_folder_name,
    text_file_name,
)
from dunena.server.access.tokens import FILE_FIELDS
from dunena.templates import OWN_PAGES
from dunena.templates.catalogue import TEMPLATES
from surfacekit.facts import PART, Surface, values_of

_KEYS = {
    json.dumps(key, ensure_ascii=False): key
    for key in (
        "player-position", "Foo", "a/b", "../x", ".hidden", "con", "café", "%41", "a b", "a.",
        "a:b?*", "longna~1",
    )
} | {"300 times n": "n" * 300}  # fmt: skip
"""A key for each rule of the names, by what the record calls it."""

_NAMESPACES = ("show", "Show", "show.json")


def surface() -> Surface:
    """Return the promises of files and folders."""
    found: Surface = {"folder of values": {"name": DEFAULT_FOLDER}}
    for shown, key in _KEYS.items():
        found[f"file of {shown}"] = {
            "name": key_file_name(key, folds_case=False).text,
            "name where case is folded": key_file_name(key, folds_case=True).text,
            "text file": text_file_name(key, None, folds_case=False),
        }
    for ns in _NAMESPACES:
        found[f"folder of {json.dumps(ns)}"] = {
            "name": namespace_folder_name(ns, folds_case=False).text,
            "name where case is folded": namespace_folder_name(ns, folds_case=True).text,
        }
    member = text_file_name("match", "score", folds_case=False)
    found['text file of "score" of "match"'] = {"name": member}
    found["journal"] = {}
    found |= values_of("journal", sorted(READABLE_VERSIONS))
    found["mark of pages that dunena made"] = {"name": OWN_PAGES}
    found |= {f"template{PART}{name}": {} for name in TEMPLATES}
    found |= _of_backups()
    found["file of tokens"] = {}
    found |= {f"file of tokens{PART}{name}": {} for name in FILE_FIELDS}
    return found | values_of(f"file of tokens{PART}rights", [right.value for right in Right])


def _of_backups() -> Surface:
    manifest = form.Manifest("", 0, 0, 0, 0, 0, 0, 0, "")
    line = form.EntryLine("a.json", "ns", "a", 1, b"{}")
    found: Surface = {"backup": {"format": form.FORMAT}}
    for name in (form.VALUES, form.PAGES, form.ENTRIES, form.MANIFEST):
        found[f"backup{PART}{name}"] = {}
    for name, content in ((form.MANIFEST, manifest.encode()), (form.ENTRIES, line.encode())):
        found |= {f"backup{PART}{name}{PART}{field}": {} for field in json.loads(content)}
    return found
