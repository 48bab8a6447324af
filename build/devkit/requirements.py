"""The pinned packages: build/requirements/*.txt.

Each line is `name==version`, with an environment marker where a package is for some systems only,
so that one file serves every Python and system. `-r other.txt` includes a neighbour. What goes into
a release is also tied to the checksums of its files, on lines that continue that of the package.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "requirements"


def read_pins(path: Path) -> list[str]:
    """The requirement lines of a file and of those it includes, without comments and checksums."""
    pins: list[str] = []
    for raw in _joined(path).splitlines():
        line = raw.partition("#")[0].partition(" --hash=")[0].strip()
        if line.startswith("-r "):
            pins += read_pins(path.parent / line.removeprefix("-r ").strip())
        elif line:
            pins.append(line)
    return pins


def read_hashes(path: Path) -> dict[str, list[str]]:
    """For each requirement line of a file the checksums of the files that may be installed."""
    found = {}
    for line in _joined(path).splitlines():
        pin, *hashes = line.partition("#")[0].split(" --hash=")
        if pin.strip():
            found[pin.strip()] = [word.strip() for word in hashes]
    return found


def read_project() -> dict[str, Any]:
    """pyproject.toml, parsed."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def compile_hook(project: dict[str, Any]) -> dict[str, Any]:
    """The settings of compile_hook.py: `modules` are what it compiles, `requires` is with what."""
    settings: dict[str, Any]
    settings = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    return settings


def digest_pins(paths: Iterable[Path]) -> str:
    """A hash of what the files ask for; comments and line ends do not count."""
    lines = []
    for path in paths:
        lines += read_pins(path)
        lines += [checksum for found in read_hashes(path).values() for checksum in found]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def digest_project(project: dict[str, Any]) -> str:
    """A hash of the parts of pyproject.toml that an installed package is made from.

    The settings of linters and tests are left out: a change there needs no new environment.
    """
    parts = {
        "build-system": project.get("build-system"),
        "project": project.get("project"),
        "hatch": project.get("tool", {}).get("hatch"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _joined(path: Path) -> str:
    """A file's text, with lines that were broken by a backslash made whole."""
    return re.sub(r"\s*\\\n\s*", " ", path.read_text(encoding="utf-8"))
