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
from collections.abc import Iterator
from pathlib import Path

_RUNNABLE, _READABLE = 0o755, 0o644
_UNIX = 3  # the system in a .zip's entries for which rights are meant
_ZIP_EPOCH = 315_532_800  # 1980-01-01: no .zip can say an earlier time


def pack(path: Path, folder: Path, program: str, seconds: int) -> None:
    """Write a folder as a .zip or .tar.gz, by the path's ending, in which it has its own name.

    `program` is the name of the file in it that is one; `seconds` is the Unix time of every file.
    """
    write = _pack_zip if path.suffix == ".zip" else _pack_tar
    write(path, folder, program, seconds)


def _entries(folder: Path, program: str) -> Iterator[tuple[str, Path, int]]:
    """Of each file its name in the archive, its path and the rights that unpacking gives it."""
    found = {path.relative_to(folder.parent).as_posix(): path for path in folder.rglob("*")}
    for name, path in sorted(found.items()):
        if path.is_symlink() or path == folder / program:
            yield name, path, _RUNNABLE
        elif path.is_file():
            yield name, path, _READABLE


def _pack_zip(path: Path, folder: Path, program: str, seconds: int) -> None:
    moment = time.gmtime(max(seconds, _ZIP_EPOCH))[:6]
    with zipfile.ZipFile(path, "w") as archive:
        for name, file, rights in _entries(folder, program):
            info = zipfile.ZipInfo(name, moment)
            info.create_system = _UNIX
            is_link = file.is_symlink()
            info.external_attr = ((stat.S_IFLNK if is_link else stat.S_IFREG) | rights) << 16
            data = file.readlink().as_posix().encode() if is_link else file.read_bytes()
            archive.writestr(info, data, zipfile.ZIP_DEFLATED, 9)


def _pack_tar(path: Path, folder: Path, program: str, seconds: int) -> None:
    # A nameless stream: gzip would write the name and time of a file of its own into it.
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=seconds) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, source, rights in _entries(folder, program):
            info = archive.gettarinfo(source, name)
            info.mode, info.mtime = rights, seconds
            info.uid, info.gid, info.uname, info.gname = 0, 0, "", ""
            archive.addfile(info, io.BytesIO(source.read_bytes()) if info.isreg() else None)
