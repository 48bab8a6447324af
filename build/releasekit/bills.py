"""The bill of materials of each artefact, and what must hold for those of a release.

An executable is looked into. The Python package has nothing in it but its own files, so its bill
names what is installed with it. An image is asked: packaging/docker/list-contents.py runs in it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from devkit.requirements import read_pins
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from releasekit import contents, sbom
from releasekit.errors import ReleaseError
from releasekit.parts import Packages, Part, libraries, library_versions
from releasekit.sbom import SUFFIX, Artefact
from releasekit.targets import NAME, TARGETS, Target

IMAGE = f"{NAME}-image{SUFFIX}"
PACKAGE = f"{NAME}-python{SUFFIX}"
LICENSES = "THIRD_PARTY_LICENSES.txt"

_HEADING = re.compile(r"^={78}\n(?P<title>[^\n]+)\n={78}$", re.MULTILINE)


def write_of_executables(
    dist: Path, environment: Path, version: str, repository: str, seconds: int
) -> list[Path]:
    """Write the bill of every executable in a folder beside it; return their paths.

    `environment` is the virtual environment that they were made with, `repository` `owner/name`.
    """
    packages, versions = Packages(environment), library_versions(environment)
    written = []
    for target in _present(dist):
        found = contents.read(dist / target.folder_archive, target)
        parts = contents.find_parts(found, packages, versions)
        # In the launcher around the folder.
        if target.system == "linux":
            parts += libraries({"glibc", "zstd"}, versions)
        elif target.system == "macos":
            parts += libraries({"zstd"}, versions)
        files = tuple(dist / name for name in target.files)
        owner, _, _ = repository.partition("/")
        artefact = Artefact(version, "github", files, owner)
        path = dist / bill_name(target)
        _write(path, sbom.render(artefact, parts, seconds))
        written.append(path)
    return written


def write_of_package(folder: Path, pins: Path, out: Path, version: str, seconds: int) -> None:
    """Write the bill of the wheels and the source package in a folder.

    `pins` is the requirements file of what is installed with them, and what they were tested with.
    """
    files = tuple(sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")]))
    if not files:
        raise ReleaseError(f"{folder}: no wheel and no source package in it")
    found = sorted(map(Requirement, read_pins(pins)), key=lambda pin: pin.name)
    parts = [
        Part(canonicalize_name(pin.name), next(iter(pin.specifier)).version, "", "pypi")
        for pin in found
    ]
    _write(out, sbom.render(Artefact(version, "pypi", files), parts, seconds))


def write_of_image(listing: Path, out: Path, version: str, seconds: int) -> None:
    """Write the bill of an image; packaging/docker/list-contents.py prints the list in it."""
    try:
        found = json.loads(listing.read_text(encoding="utf-8"))
        parts = libraries({"Python"}, {"Python": found["python"]})
        parts += [Part(one["name"], one["version"], "", "pypi") for one in found["packages"]]
        system = found["system"]
        parts += [
            Part(one["name"], one["version"], "", "deb", namespace=system)
            for one in found["system_packages"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{listing} is no list of an image's contents: {error}") from error
    _write(out, sbom.render(Artefact(version, "docker", is_image=True), parts, seconds))


def check(dist: Path) -> list[str]:
    """Look into the bills of a release; return what was found to be right.

    Each executable has one that follows the schema and states the checksums of its files, and
    everything that is named in it has the text of its licence in the file for them. Raises
    ReleaseError with a line for everything that is wrong.
    """
    try:
        text = (dist / LICENSES).read_text(encoding="utf-8")
    except OSError as error:
        raise ReleaseError(f"{dist / LICENSES}: {error.strerror}") from error
    headings: set[str] = {canonicalize_name(_name(one["title"])) for one in _HEADING.finditer(text)}
    present = _present(dist)
    if not present:
        raise ReleaseError(f"{dist}: no executable in it")
    wrong = [line for target in present for line in _faults(dist, target, headings)]
    others = sorted(path for path in dist.glob(f"*{SUFFIX}") if path.name not in _names(present))
    for path in others:
        try:
            sbom.read(path)
        except ReleaseError as error:
            wrong.append(str(error))
    if wrong:
        raise ReleaseError("\n".join(wrong))
    right = [f"{bill_name(target)} fits its files and {LICENSES}" for target in present]
    return right + [f"{path.name} follows the schema" for path in others]


def bill_name(target: Target) -> str:
    """The name of an executable's bill."""
    return f"{NAME}-{target.label}{SUFFIX}"


def _faults(dist: Path, target: Target, headings: set[str]) -> Iterator[str]:
    name = bill_name(target)
    try:
        bill = sbom.read(dist / name)
    except FileNotFoundError:
        yield f"{name} is missing"
        return
    except ReleaseError as error:
        yield str(error)
        return
    actual = sbom.file_digests(dist / one for one in target.files)
    if sbom.stated_digests(bill) != actual:
        yield f"{name} is not of these files"
    for component in bill.get("components", []):
        notice = notice_of(component["name"])
        if notice not in headings:
            yield f"{LICENSES} lacks {component['name']}, which {name} names"


def notice_of(name: str) -> str:
    """The heading, without a version, of the licence's text for what a bill names.

    Microsoft's runtime stands in the licence of Python for Windows.
    """
    return canonicalize_name("Python" if name.startswith("Microsoft") else name)


def _name(title: str) -> str:
    """What a heading of the licences is of: `orjson 3.11.0 (MIT)`, `Python 3.13.1`, `zlib`."""
    return title.partition(" ")[0]


def _present(dist: Path) -> list[Target]:
    return [target for target in TARGETS if (dist / target.executable).is_file()]


def _names(targets: list[Target]) -> set[str]:
    return {bill_name(target) for target in targets}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
    # What is published follows the schema, whatever a package calls its licence.
    sbom.read(path)
