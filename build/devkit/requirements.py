"""The pinned packages: build/requirements/*.txt.

Each line is `name==version`, with an environment marker where a package is for some systems only,
so that one file serves every Python and system, and the checksums of its files, on lines that
continue that of the package. `-r other.txt` includes a neighbour.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "requirements"


def read_pins(path: Path) -> list[str]:
    """The requirement lines of a file and of those it includes, without comments and checksums."""
    return [line.partition(" --hash=")[0].strip() for line in read_lines(path)]


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
    lines = [line for path in paths for line in read_lines(path)]
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


def read_lines(path: Path) -> Iterator[str]:
    """The requirement lines of a file and of those it includes, each with its checksums."""
    for raw in re.sub(r"\s*\\\n\s*", " ", path.read_text(encoding="utf-8")).splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("-r "):
            yield from read_lines(path.parent / line.removeprefix("-r ").strip())
        elif line:
            yield line
