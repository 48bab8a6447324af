"""The text of a release: what changed, which file to take, how to start and to verify it."""

import re
import string
from collections.abc import Iterator
from pathlib import Path

from releasekit.changelog import UNRELEASED, find_section
from releasekit.errors import ReleaseError
from releasekit.signatures import is_signed
from releasekit.targets import TARGETS, Target

TEMPLATE = Path(__file__).resolve().parents[2] / "packaging" / "notes.txt"
"""The text, in which a line behind `{words}` stands only where these are true."""

_CONDITIONAL = re.compile(r"^\{([a-z ]+)\}(.*\n)", re.MULTILINE)


def render(
    version: str, changelog: str, dist: Path, repository: str, *, is_attested: bool = True
) -> str:
    """The notes of a version, in Markdown; `repository` is `owner/name`.

    With `is_attested` they say how to ask GitHub where the files come from.

    Before its release they are made from what is unreleased. Only files that are in `dist` are
    offered.
    """
    section = find_section(changelog, version) or find_section(changelog, UNRELEASED)
    if section is None or not section.body:
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}")
    present = [target for target in TARGETS if (dist / target.executable).is_file()]
    if not present:
        raise ReleaseError(f"{dist}: no executable in it")
    true = {*_signatures(present, dist), *(["attested"] if is_attested else [])}
    text = _CONDITIONAL.sub(
        lambda line: line[2] if line[1] in true else "", TEMPLATE.read_text(encoding="utf-8")
    )
    table = _table(present, dist, download_url(repository, version))
    return string.Template(text).substitute(
        changes=section.body, table=table, repository=repository
    )


def download_url(repository: str, version: str) -> str:
    """Where the files of a release are, without a slash at the end."""
    return f"https://github.com/{repository}/releases/download/v{version}"


def _table(targets: list[Target], dist: Path, url: str) -> str:
    lines = ["| | One file | Archive of it | Folder |", "| --- | --- | --- | --- |"]
    for target in targets:
        links = [_link(dist / name, url) for name in target.files]
        lines.append(f"| {' | '.join([target.title, *links])} |")
    return "\n".join(lines)


def _link(path: Path, url: str) -> str:
    if not path.is_file():
        raise ReleaseError(f"{path} is missing")
    return f"[{path.name}]({url}/{path.name}) ({path.stat().st_size / 1e6:.1f} MB)"


def _signatures(targets: list[Target], dist: Path) -> Iterator[str]:
    """For each system `windows signed` or `windows unsigned`, which all of its files decide."""
    for system in ("windows", "macos"):
        files = [dist / target.executable for target in targets if target.system == system]
        is_whole = bool(files) and all(is_signed(path, system) for path in files)
        yield f"{system} {'signed' if is_whole else 'unsigned'}"
