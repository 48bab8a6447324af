"""Everything that lies inside a file: archives, and what was packed into an executable."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import zstandard
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from PyInstaller.archive.readers import ArchiveReadError, CArchiveReader

from releasekit import archives
from releasekit.errors import ReleaseError

ELF_MAGIC = b"\x7fELF"

# gzip says EOFError of a file that was cut.
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, zstandard.ZstdError, struct.error),
    *(OSError, EOFError),
)

_LAUNCHED = ".dunena"
"""The section of a launcher with the program (packaging/launcher/launcher.c has its form)."""


def walk(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every file in a folder or archive, in the archives inside them too, with its bytes."""
    if path.is_dir():
        for entry in sorted(path.rglob("*")):
            # A link's file is there under its own name.
            if entry.is_file() and not entry.is_symlink():
                yield from _open(entry.relative_to(path).as_posix(), entry)
    elif path.is_file():
        yield from _open(path.name, path)
    else:
        raise ReleaseError(f"{path}: no such file or folder")


def _open(name: str, path: Path) -> Iterator[tuple[str, bytes]]:
    data = path.read_bytes()
    yield name, data
    try:
        # PyInstaller reads files, so what lies inside of another one becomes one.
        with TemporaryDirectory() as folder:
            for inner, content in _contents(path, data):
                file = Path(folder, PurePosixPath(inner).name)
                file.write_bytes(content)
                yield from _open(f"{name}: {inner}", file)
    except _DAMAGE as error:
        raise ReleaseError(f"{name}: cannot be read ({error})") from error


def _contents(path: Path, data: bytes) -> Iterator[tuple[str, bytes]]:
    if path.name.endswith((".tar.gz", ".zip")):
        for member in archives.read(path):
            yield member.name, member.data
    elif data.startswith(ELF_MAGIC):
        launched = list(_launched(data))
        if launched:
            # The mark of PyInstaller's own archive may stand in what is compressed in it.
            yield from launched
            return
        try:
            packed = CArchiveReader(str(path))
        except ArchiveReadError:
            return  # a program that nothing was packed into
        for inner in packed.toc:
            yield inner, packed.extract(inner)


def _launched(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of the program that a launcher has in it; nothing for any other program."""
    try:
        section = ELFFile(io.BytesIO(data)).get_section_by_name(_LAUNCHED)
    except (ELFError, ValueError):  # who reads it as a program says so
        return
    if section is None:
        return
    index, _, frame = section.data().partition(b"\n\n")
    contents = io.BytesIO(zstandard.ZstdDecompressor().decompress(frame[:-1]))
    for line in index.decode().splitlines():
        kind, size, place = line.split(" ", 2)
        content = contents.read(int(size))
        if kind in "fx":
            yield place, content
