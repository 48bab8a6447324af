"""Small made-up files for the tests of the release: programs, archives, a whole `dist`."""

import importlib
import io
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    """A module of build/, which is a folder of scripts and no package."""
    folder = str(ROOT / "build")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


def elf(*versions: str) -> bytes:
    """A library that needs these versions of symbols; none makes one without a dynamic table."""
    if not versions:
        return _elf_header(0x40, 0)
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in ("libc.so.6", *versions))
    strings += b"\0" * (-len(strings) % 8)
    at_strings = 0x40 + 2 * 56
    at_need = at_strings + len(strings)
    need = struct.pack("<HHIII", 1, len(versions), 1, 16, 0)
    for index, name in enumerate(versions):
        follows = 0 if index == len(versions) - 1 else 16
        place = strings.index(b"\0" + name.encode() + b"\0") + 1
        need += struct.pack("<IHHII", 0, 0, index + 2, place, follows)
    at_dynamic = at_need + len(need)
    # An address is no place in the file; the difference shows a reader that mixes them up.
    base = 0x400000
    entries = [(5, base + at_strings), (0x6FFFFFFE, base + at_need), (0x6FFFFFFF, 1), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    size = at_dynamic + len(dynamic)
    segments = [(1, 0, base, size), (2, at_dynamic, base + at_dynamic, len(dynamic))]
    table = b"".join(
        struct.pack("<IIQQQQQQ", kind, 4, offset, address, address, length, length, 8)
        for kind, offset, address, length in segments
    )
    return _elf_header(0x40, len(segments)) + table + strings + need + dynamic


def _elf_header(table: int, count: int) -> bytes:
    kind = struct.pack("<HHI", 3, 62, 1)
    places = struct.pack("<QQQ", 0, table, 0)
    return (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + kind
        + places
        + struct.pack("<IHHHHHH", 0, 64, 56, count, 0, 0, 0)
    )


def packed(program: bytes, files: dict[str, bytes], deflated: bool = True) -> bytes:
    """An executable as PyInstaller makes it: the bootloader, then the files, then the cookie."""
    data, table = b"", b""
    for name, content in files.items():
        stored = zlib.compress(content) if deflated else content
        words = name.encode() + b"\0" * (16 - len(name) % 16)
        head = (18 + len(words), len(data), len(stored), len(content), int(deflated), b"b")
        table += struct.pack("!IIIIBc", *head) + words
        data += stored
    length = len(data) + len(table) + 88
    cookie = struct.pack(
        "!8sIIII64s", b"MEI\x0c\x0b\x0a\x0b\x0e", length, len(data), len(table), 312, b"libpython"
    )
    return program + data + table + cookie


def tar(path: Path, files: dict[str, bytes], mode: int = 0o755) -> None:
    """A .tar.gz of these files."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))


def zipped(path: Path, files: dict[str, bytes], mode: int = 0o755) -> None:
    """A .zip of these files."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100000 | mode) << 16
            archive.writestr(info, content)


def portable_executable(signed: bool) -> bytes:
    """The head of a 64-bit Windows program."""
    tables = b"".join(struct.pack("<II", 0x1000 if index != 4 else 0, 0) for index in range(4))
    tables += struct.pack("<II", 0x2000, 64 if signed else 0)
    optional = struct.pack("<H", 0x20B) + bytes(110) + tables
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(20) + optional


PROGRAMS = {
    "linux": packed(elf("GLIBC_2.14"), {"libssl.so.3": elf("GLIBC_2.28", "GLIBC_2.4")}),
    "macos": b"\xcf\xfa\xed\xfe a program",
    "windows": portable_executable(signed=False),
}


def dist(folder: Path) -> Path:
    """A `dist` with the files of every target."""
    folder.mkdir(parents=True, exist_ok=True)
    for target in load("releasekit.targets").TARGETS:
        program = PROGRAMS[target.system]
        (folder / target.executable).write_bytes(program)
        suffix = ".exe" if target.system == "windows" else ""
        pack = tar if target.system == "linux" else zipped
        name = f"dunena-{target.label}"
        pack(folder / target.archive, {f"{name}/{target.executable}": program})
        inner = {f"{name}-folder/dunena{suffix}": program, f"{name}-folder/LICENSE": b"text"}
        pack(folder / target.folder_archive, inner)
    return folder
