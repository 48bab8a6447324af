"""The areas of the public surface: what derives each, and where its promise stands."""

from collections.abc import Callable
from dataclasses import dataclass

from devkit.requirements import ROOT

from surfacekit import (
    command_answers,
    command_line,
    error_codes,
    file_names,
    http_requests,
    installation,
    javascript_names,
    messages,
    metric_names,
    python_names,
)
from surfacekit.facts import Surface

_CLIENT = ROOT / "dunena" / "web" / "client"


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the surface; its name is that of its file in `tests/surface`.

    ``document`` is where users read what is promised, ``derive`` makes it from the tree.
    """

    name: str
    document: str
    derive: Callable[[], Surface]


AREAS = (
    Area("answers", "docs/cli.md, --json", command_answers.surface),
    Area("commands", "docs/cli.md", command_line.commands),
    Area("errors", "docs/operations-on-values.md, Errors", error_codes.surface),
    Area("files", "docs/files.md and docs/backup.md", file_names.surface),
    Area("http", "docs/http.md", http_requests.surface),
    Area(
        "installation",
        "docs/executable.md, docs/operations.md and packaging",
        lambda: installation.surface(ROOT),
    ),
    Area(
        "javascript",
        "docs/client.md",
        lambda: javascript_names.surface(_CLIENT / "dunena.d.ts", _CLIENT / "dunena.js"),
    ),
    Area("metrics", "docs/operations.md, Figures", metric_names.surface),
    Area("python", "docs/python.md", python_names.surface),
    Area("settings", "docs/settings.md", command_line.settings),
    Area(
        "websocket",
        "docs/dunena.md, docs/object-store.md and docs/asyncapi.json",
        lambda: messages.surface(ROOT / "docs/asyncapi.json"),
    ),
)
