"""The archives hold what lies beside them, ready to run.

A file loses its right to be run on the way through an upload or a browser; one in an archive keeps
it. So whoever downloads the archive must get the very file that was tested, with that right.
"""

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from releasekit.errors import ReleaseError
from releasekit.targets import TARGETS, Target

_RUNNABLE = 0o755


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive; `mode` are the rights that unpacking gives it."""

    name: str
    mode: int
    data: bytes


def check(folder: Path) -> list[str]:
    """Look into the archives of every target that is there; return what was found to be right.

    Raises ReleaseError with a line for everything that is wrong.
    """
    present = [target for target in TARGETS if (folder / target.executable).is_file()]
    if not present:
        raise ReleaseError(f"{folder}: no executable in it")
    wrong = [line for target in present for line in _faults(folder, target)]
    if wrong:
        raise ReleaseError("\n".join(wrong))
    return [f"{target.executable} and its archives agree" for target in present]


def read(path: Path) -> Iterator[Member]:
    """The files of a .tar.gz or .zip."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield Member(info.filename, info.external_attr >> 16, archive.read(info))
        return
    with tarfile.open(path, "r:gz") as archive_tar:
        for member in archive_tar:
            file = archive_tar.extractfile(member) if member.isfile() else None
            kind = stat.S_IFREG if file else stat.S_IFLNK
            if not member.isdir():
                yield Member(member.name, kind | member.mode, file.read() if file else b"")


def program(path: Path, target: Target) -> Member:
    """The program in an archive. Raises ReleaseError when there is not exactly one."""
    found = [member for member in read(path) if _is_program(member, target.system)]
    if len(found) != 1:
        raise ReleaseError(f"{path.name} holds {len(found)} programs instead of one")
    return found[0]


def replace(path: Path, name: str, data: bytes) -> None:
    """Put other bytes into a .zip for one of its files; all else stays as it was."""
    draft = path.with_name(f"{path.name}.new")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(draft, "w") as new:
        for info in old.infolist():
            content = data if info.filename == name else old.read(info)
            new.writestr(info, content, info.compress_type, 9)
    draft.replace(path)


def _faults(folder: Path, target: Target) -> Iterator[str]:
    for name in (target.archive, target.folder_archive):
        try:
            members = list(read(folder / name))
        except FileNotFoundError:
            yield f"{name} is missing"
            continue
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
            yield f"{name} cannot be read: {error}"
            continue
        yield from (f"{name}: {fault}" for fault in _member_faults(members, target.system))
        if name == target.archive:
            yield from _executable_faults(folder / target.executable, name, members)


def _member_faults(members: list[Member], system: str) -> Iterator[str]:
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            yield f"{member.name} would be unpacked outside of the folder"
    programs = [member for member in members if _is_program(member, system)]
    if not programs:
        yield "no program in it"
    for member in programs:
        if system != "windows" and stat.S_IMODE(member.mode) != _RUNNABLE:
            yield f"{member.name} has mode {stat.S_IMODE(member.mode):o} instead of {_RUNNABLE:o}"


def _is_program(member: Member, system: str) -> bool:
    """Whether this is what people start: `dunena`, however the target is written behind it."""
    name = PurePosixPath(member.name).name
    if system == "windows":
        return name.endswith(".exe")
    return name.startswith("dunena") and "." not in name


def _executable_faults(executable: Path, archive: str, members: list[Member]) -> Iterator[str]:
    data = executable.read_bytes()
    if all(member.data != data for member in members):
        yield f"{archive} does not hold the bytes of {executable.name}"
