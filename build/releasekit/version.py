"""Version, tag and changelog say the same, or there is no release."""

import re

from releasekit.changelog import UNRELEASED, find_section, read_sections
from releasekit.errors import ReleaseError

_ASSIGNMENT = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
# Of what Python allows in a version: a release, or one of its forerunners.
_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def read_version(text: str) -> str:
    """The version in the text of dunena/__init__.py, which is the one place it is written in."""
    found = _ASSIGNMENT.search(text)
    if found is None:
        raise ReleaseError("dunena/__init__.py has no __version__")
    if not _VERSION.fullmatch(found[1]):
        raise ReleaseError(
            f"dunena/__init__.py: {found[1]} is no version such as 1.2.3 or 1.2.3rc1"
        )
    return found[1]


def check(version: str, changelog: str, tag: str | None) -> None:
    """Raise ReleaseError when the three disagree; without a tag nothing is released yet."""
    if tag is not None and tag != f"v{version}":
        raise ReleaseError(
            f"the tag is {tag} and dunena/__init__.py says {version}, so it should be v{version}"
        )
    names = [section.name for section in read_sections(changelog)]
    released = [name for name in names if name != UNRELEASED]
    pending = find_section(changelog, UNRELEASED)
    if tag is not None:
        _check_released(version, changelog, released)
        if pending is not None and pending.body:
            raise ReleaseError(
                f"CHANGELOG.md: {UNRELEASED} is not empty; what is in {tag} belongs under {version}"
            )
    elif version not in released[:1] and not (pending and pending.body):
        raise ReleaseError(
            f"CHANGELOG.md says nothing of {version}, neither under it nor under {UNRELEASED}"
        )


def _check_released(version: str, changelog: str, released: list[str]) -> None:
    section = find_section(changelog, version)
    if section is None:
        raise ReleaseError(f"CHANGELOG.md has no section {version}")
    if released[0] != version:
        raise ReleaseError(f"CHANGELOG.md: {released[0]} stands above {version}")
    if not section.date:
        raise ReleaseError(f"CHANGELOG.md: write the date behind {version}, as in (2026-11-30)")
    if not section.body:
        raise ReleaseError(f"CHANGELOG.md: the section {version} is empty")
