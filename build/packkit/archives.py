"""The archives beside an executable: they keep its right to be run, which a bare download loses.

The same files give the same bytes, whenever and in whatever order they were made: names are sorted,
times are one time, owners are nobody, and rights are one of two.
"""

import gzip
import io
import stat
import tarfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

_RUNNABLE, _READABLE = 0o755, 0o644
_UNIX = 3  # the system in a .zip's entries for which rights are meant
_ZIP_EPOCH = 315_532_800  # 1980-01-01: no .zip can say an earlier time


@dataclass(frozen=True, slots=True)
class Entry:
    """A file to be packed, under its name in the archive."""

    name: str
    source: Path
    is_runnable: bool = False

    @property
    def mode(self) -> int:
        """The kind of file and the rights that unpacking gives it."""
        if self.source.is_symlink():
            return stat.S_IFLNK | _RUNNABLE
        return stat.S_IFREG | (_RUNNABLE if self.is_runnable else _READABLE)

    def read(self) -> bytes:
        """The file's bytes; those of a link are where it points to."""
        if self.source.is_symlink():
            return self.source.readlink().as_posix().encode()
        return self.source.read_bytes()


def pack(path: Path, entries: list[Entry], seconds: int) -> None:
    """Write a .zip or .tar.gz, by the path's ending; `seconds` is the Unix time of every file."""
    ordered = sorted(entries, key=lambda entry: entry.name)
    if path.suffix == ".zip":
        _pack_zip(path, ordered, seconds)
    else:
        _pack_tar(path, ordered, seconds)


def entries_of(folder: Path, top: str, runnable: str) -> list[Entry]:
    """All files of a folder below the name `top`; `runnable` is the one that is a program."""
    return [
        Entry(f"{top}/{name}", path, is_runnable=name == runnable)
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
        for name in [path.relative_to(folder).as_posix()]
    ]


def _pack_zip(path: Path, entries: list[Entry], seconds: int) -> None:
    moment = time.gmtime(max(seconds, _ZIP_EPOCH))[:6]
    with zipfile.ZipFile(path, "w") as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, moment)
            info.create_system = _UNIX
            info.external_attr = entry.mode << 16
            archive.writestr(info, entry.read(), zipfile.ZIP_DEFLATED, 9)


def _pack_tar(path: Path, entries: list[Entry], seconds: int) -> None:
    # A nameless stream: gzip would write the name and time of a file of its own into it.
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=seconds) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for entry in entries:
            data = entry.read()
            info = tarfile.TarInfo(entry.name)
            info.mode, info.mtime = stat.S_IMODE(entry.mode), seconds
            if stat.S_ISLNK(entry.mode):
                info.type, info.linkname = tarfile.SYMTYPE, data.decode()
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
