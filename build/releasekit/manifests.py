"""The files by which winget, Homebrew and Scoop know a release.

They are made from templates in packaging/manifests/ and the release's own checksums. What can go
into a template is a version, a repository, a checksum or a date, none of which needs escaping in
YAML, Ruby or JSON; that they are what they should be is checked here.
"""

import re
import string
from pathlib import Path

from releasekit import checksums
from releasekit.errors import ReleaseError
from releasekit.notes import download_url
from releasekit.targets import TARGETS

_REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def write(version: str, repository: str, dist: Path, templates: Path, out: Path) -> list[Path]:
    """Fill every template and write the results below `out`, under the templates' own names."""
    if not _REPOSITORY.fullmatch(repository):
        raise ReleaseError(f"{repository} is no repository, such as owner/name")
    words = {"version": version, "repository": repository}
    words["download"] = download_url(repository, version)
    words |= _digests(checksums.read(dist))
    written = []
    for template in sorted(path for path in templates.rglob("*") if path.is_file()):
        target = out / template.relative_to(templates)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            text = string.Template(template.read_text(encoding="utf-8")).substitute(words)
        except KeyError as error:
            raise ReleaseError(f"{template.name} needs {error}, which {dist} has not") from error
        target.write_text(text, encoding="utf-8", newline="\n")
        written.append(target)
    return written


def _digests(sums: dict[str, str]) -> dict[str, str]:
    """For each file its checksum, under a name such as `macos_arm64_archive`."""
    words = {}
    for target in TARGETS:
        key = target.label.replace("-", "_")
        for kind, name in (("executable", target.executable), ("archive", target.archive)):
            digest = sums.get(name)
            if digest is not None and not _SHA256.fullmatch(digest):
                raise ReleaseError(f"{name} has a checksum that is none: {digest}")
            if digest is not None:
                words[f"{key}_{kind}"] = digest
    return words
