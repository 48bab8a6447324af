"""What a release changes in the sources: the version, wherever it is written, and the changelog."""

import re
from pathlib import Path

from releasekit import version
from releasekit.changelog import UNRELEASED, find_section, release_section
from releasekit.errors import ReleaseError

CHANGELOG = "CHANGELOG.md"
PACKAGE = "dunena/__init__.py"
CHART = "packaging/cluster/helm/dunena/Chart.yaml"

# In each file every place of the version, and what stands there instead.
_PLACES = {
    PACKAGE: ((r'(?m)^__version__ = "[^"]+"$', '__version__ = "{}"'),),
    CHART: ((r"(?m)^version: \S+$", "version: {}"), (r"(?m)^appVersion: \S+$", 'appVersion: "{}"')),
}


def prepare(root: Path, wanted: str, day: str) -> list[Path]:
    """Make a checkout that of a version, dated `day` (`2026-11-30`); return the files to commit.

    What is unreleased in the changelog becomes the section of the version, unless there is one.
    Raises ReleaseError before anything is written when no release could come of it.
    """
    texts = {name: (root / name).read_text(encoding="utf-8") for name in (*_PLACES, CHANGELOG)}
    for name, places in _PLACES.items():
        for pattern, form in places:
            texts[name], count = re.subn(pattern, form.format(wanted), texts[name])
            if count != 1:
                raise ReleaseError(
                    f"{name}: the version stands there {count} times instead of once"
                )
    pending = find_section(texts[CHANGELOG], UNRELEASED)
    if find_section(texts[CHANGELOG], wanted) is None and pending is not None:
        texts[CHANGELOG] = release_section(texts[CHANGELOG], wanted, day)
    found = version.read_version(texts[PACKAGE])
    version.check(found, texts[CHANGELOG], f"v{wanted}")
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8", newline="\n")
    return [root / name for name in texts]
