"""The documentation as a web site, made by mkdocs-material from docs/ and build/mkdocs.yml.

It is read without a network too (a laptop at a venue, a copy on a stick), so nothing that a page
loads by itself may be elsewhere.
"""

import re
import subprocess
from pathlib import Path

from devkit import environment
from devkit.console import CommandError, clean_environ
from devkit.requirements import ROOT

FOLDER = ROOT / "site"

# What a page loads by itself: scripts, pictures and frames by src, pictures by srcset too, styles
# and icons by link.
_LOADED = re.compile(
    r"""<(?:[a-z]+\b[^>]*\bsrc(?:set)?|link\b[^>]*\bhref)=["']?((?:https?:)?//[^"'\s>]+)"""
)


def build() -> Path:
    """Build it, and return its folder.

    Raises CommandError when mkdocs warns of anything, such as a link that leads nowhere, or when a
    page would load something from elsewhere.
    """
    python = environment.PUBLISHING.prepare(environment.SITE)
    command: list[str | Path] = [python, "-m", "mkdocs", "build", "--strict", "--clean"]
    command += ["--config-file", ROOT / "build" / "mkdocs.yml"]
    # Without its makers' notice about a coming version of mkdocs, which the pins keep out.
    environ = clean_environ({"NO_MKDOCS_2_WARNING": "1"})
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False)
    if done.returncode != 0:
        raise CommandError("the site was not built, for the reasons above")
    for path in sorted(FOLDER.rglob("*.html")):
        found = loaded_from_elsewhere(path.read_text(encoding="utf-8"))
        if found:
            raise CommandError(f"{path.relative_to(ROOT)} would load {', '.join(found)}")
    return FOLDER


def loaded_from_elsewhere(page: str) -> list[str]:
    """The addresses of other sites that an HTML page loads by itself."""
    return _LOADED.findall(page)
