"""The sections of CHANGELOG.md.

A release is headed `## 0.1.0 (2026-11-30)`, newest first. What is not released yet stands above
them under `## Unreleased`.
"""

import re
from dataclasses import dataclass

UNRELEASED = "Unreleased"

_HEADING = re.compile(
    r"^## (?P<name>\S+)(?: \((?P<date>\d{4}-\d{2}-\d{2})\))?[ \t]*$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its version or `Unreleased`, its date (empty without one) and its text."""

    name: str
    date: str
    body: str


def read_sections(text: str) -> list[Section]:
    """The sections in the order of the file."""
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)] * bool(headings)
    return [
        Section(heading["name"], heading["date"] or "", text[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=True)
    ]


def find_section(text: str, name: str) -> Section | None:
    """The section of a version, if there is one."""
    return next((section for section in read_sections(text) if section.name == name), None)


def release_section(text: str, version: str, day: str) -> str:
    """The changelog in which what was unreleased is the section of a version."""
    heading = re.compile(rf"^## {UNRELEASED}[ \t]*$", re.MULTILINE)
    return heading.sub(f"## {version} ({day})", text, count=1)
