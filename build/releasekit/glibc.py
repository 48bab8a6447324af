"""The oldest Linux that a program runs on: the newest version of the C library it asks for."""

import io
import re
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from releasekit import bundle
from releasekit.errors import ReleaseError

Version = tuple[int, ...]

# Names that glibc gives to an ability instead of a version, and the release that brought it.
_ABILITIES = {"GLIBC_ABI_DT_RELR": (2, 36), "GLIBC_ABI_GNU_TLS": (2, 42)}
_VERSION = re.compile(r"GLIBC_(\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True)
class Need:
    """What one file asks for; `version` is empty when it needs no C library of its own."""

    name: str
    version: Version


def needs(path: Path) -> list[Need]:
    """What every program and library in a file or folder needs, the most demanding first."""
    found = []
    for name, data in bundle.walk(path):
        if data.startswith(bundle.ELF_MAGIC):
            try:
                found.append(Need(name, newest(needed_versions(data))))
            except ReleaseError as error:
                raise ReleaseError(f"{name}: {error}") from error
    if not found:
        raise ReleaseError(f"{path}: no Linux program or library in it")
    return sorted(found, key=lambda need: need.version, reverse=True)


def needed_versions(data: bytes) -> set[str]:
    """The names of the symbol versions that an ELF file needs, such as `GLIBC_2.28`.

    Empty for one that is linked statically. Raises ReleaseError for one that cannot be read.
    """
    try:
        file = ELFFile(io.BytesIO(data))
        # They are found by its sections, which a program runs without.
        if not file.num_sections() and any(file.iter_segments("PT_DYNAMIC")):
            raise ReleaseError("cannot be read: its table of sections was taken out")
        tables = [one for one in file.iter_sections() if isinstance(one, GNUVerNeedSection)]
        return {
            version.name
            for table in tables
            for _, versions in table.iter_versions()
            for version in versions
        }
    except (ELFError, ValueError, OSError) as error:
        raise ReleaseError(f"damaged ELF file: {error}") from error


def newest(names: set[str]) -> Version:
    """The newest version among names of symbol versions; those of other libraries do not count."""
    versions: set[Version] = {()}
    for name in names:
        found = _VERSION.fullmatch(name)
        if found:
            versions.add(parse(found[1]))
        elif name in _ABILITIES:
            versions.add(_ABILITIES[name])
        elif name.startswith("GLIBC_"):
            # GLIBC_PRIVATE ties a file to the one build of glibc that it was made with.
            raise ReleaseError(f"needs {name}, which no other system promises to have")
    return max(versions)


def parse(text: str) -> Version:
    """A version as numbers, so that 2.28 is newer than 2.9."""
    return tuple(int(part) for part in text.split("."))


def show(version: Version) -> str:
    """A version as people write it."""
    return ".".join(map(str, version)) or "none"


def report(found: list[Need], newest_allowed: Version) -> str:
    """The floor, and each file that it is there for. Raises ReleaseError when it is too high."""
    floor = found[0].version
    lines = [f"glibc floor {show(floor)}, of {len(found)} programs and libraries"]
    lines += [f"  {show(need.version)}  {need.name}" for need in found if need.version == floor]
    too_new = [need for need in found if need.version > newest_allowed]
    if too_new:
        lines += [f"  {show(need.version)}  {need.name}" for need in too_new[len(lines) - 1 :]]
        lines.append(f"that is newer than {show(newest_allowed)}, the newest one allowed")
        raise ReleaseError("\n".join(lines))
    return "\n".join(lines)
