"""Everything that lies inside a file: archives, and what PyInstaller packs into an executable.

PyInstaller's reader is part of PyInstaller, and the job that checks a download shall not need it.
So the few lines of its format that matter are read here: at the end of the file a cookie says where
the table of contents is, and each entry of that where its bytes are and whether they are deflated.
"""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from releasekit import elf
from releasekit.errors import ReleaseError

_MAGIC = b"MEI\x0c\x0b\x0a\x0b\x0e"
# gzip says EOFError of a file that was cut.
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError)

# Magic, length of the archive, place and length of its table, Python's version, Python's library.
_COOKIE = struct.Struct("!8sIIII64s")
# Length of the entry, place, stored and real length, whether it is deflated, its kind.
_ENTRY = struct.Struct("!IIIIBc")


def walk(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every file in a folder or archive, in the archives inside them too, with its bytes."""
    if path.is_dir():
        for entry in sorted(path.rglob("*")):
            # A link's file is there under its own name.
            if entry.is_file() and not entry.is_symlink():
                yield from _open(entry.relative_to(path).as_posix(), entry.read_bytes())
    elif path.is_file():
        yield from _open(path.name, path.read_bytes())
    else:
        raise ReleaseError(f"{path}: no such file or folder")


def _open(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, data
    try:
        for inner, content in _contents(name, data):
            yield from _open(f"{name}: {inner}", content)
    except _DAMAGE as error:
        raise ReleaseError(f"{name}: cannot be read ({error})") from error


def _contents(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    if name.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file:
                    yield member.name, file.read()
    elif name.endswith(".zip") and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive_zip:
            for info in archive_zip.infolist():
                if not info.is_dir():
                    yield info.filename, archive_zip.read(info)
    elif data[:4] == elf.MAGIC:
        yield from packed_files(data)


def packed_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The files that PyInstaller packed into an executable; none for any other program."""
    cookie = data.rfind(_MAGIC)
    if cookie < 0 or len(data) < cookie + _COOKIE.size:
        return
    _, length, table, table_length, version, _ = _COOKIE.unpack_from(data, cookie)
    start = cookie + _COOKIE.size - length
    # Eight bytes may stand anywhere; around those that are no cookie no archive fits.
    if start < 0 or table + table_length > length or not 300 <= version < 1000:
        return
    place, end = start + table, start + table + table_length
    while place < end:
        size, offset, stored, _, is_deflated, _ = _ENTRY.unpack_from(data, place)
        name = data[place + _ENTRY.size : place + size].rstrip(b"\0").decode()
        content = data[start + offset : start + offset + stored]
        yield name, zlib.decompress(content) if is_deflated else content
        place += max(size, _ENTRY.size)
