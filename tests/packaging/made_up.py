"""Small made-up files for the tests of the release: programs, archives, a whole `dist`."""

import importlib
import io
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import zstandard

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    """A module of build/, which is a folder of scripts and no package."""
    folder = str(ROOT / "build")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


def elf(*versions: str, section: tuple[bytes, bytes] | None = None) -> bytes:
    """A library that needs these versions of symbols; none makes one that needs no other.

    ``section`` is the name of one section more and what is in it.
    """
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in ("libc.so.6", *versions))
    need = struct.pack("<HHIII", 1, len(versions), 1, 16, 0)
    for index, name in enumerate(versions):
        follows = 0 if index == len(versions) - 1 else 16
        place = strings.index(b"\0" + name.encode() + b"\0") + 1
        need += struct.pack("<IHHII", 0, 0, index + 2, place, follows)
    more, content_of_more = section or (b"", b"")
    names = b"\0.dynstr\0.gnu.version_r\0.shstrtab\0" + more + b"\0"
    # Of each section its name, kind, content, the section its names are in, and how many it holds.
    sections = [(b".dynstr", 3, strings, 0, 0), (b".shstrtab", 3, names, 0, 0)]
    sections += [(b".gnu.version_r", 0x6FFFFFFE, need, 1, 1)] if versions else []
    sections += [(more, 1, content_of_more, 0, 0)] if section else []
    content, table = b"", bytes(64)
    for name, kind, data, link, count in sections:
        place = 64 + len(content)
        head = (names.index(name + b"\0"), kind, 2, place, place, len(data), link, count, 4, 0)
        table += struct.pack("<IIQQQQIIQQ", *head)
        content += data + bytes(-len(data) % 8)
    places = struct.pack("<QQQ", 0, 0, 64 + len(content))
    counts = struct.pack("<IHHHHHH", 0, 64, 56, 0, 64, len(sections) + 1, 2)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 3, 62, 1)
    return head + places + counts + content + table


def packed(
    program: bytes, files: dict[str, bytes], deflated: bool = True, kind: bytes = b"b"
) -> bytes:
    """An executable as PyInstaller makes it: the bootloader, then the files, then the cookie."""
    data, table = b"", b""
    for name, content in files.items():
        stored = zlib.compress(content) if deflated else content
        words = name.encode() + b"\0" * (16 - len(name) % 16)
        head = (18 + len(words), len(data), len(stored), len(content), int(deflated), kind)
        table += struct.pack("!IIIIBc", *head) + words
        data += stored
    length = len(data) + len(table) + 88
    cookie = struct.pack(
        "!8sIIII64s", b"MEI\x0c\x0b\x0a\x0b\x0e", length, len(data), len(table), 312, b"libpython"
    )
    return program + data + table + cookie


def launcher(files: dict[str, bytes]) -> bytes:
    """A launcher with a program in it (packaging/launcher/launcher.c has the form)."""
    index = "".join(f"f {len(content)} {name}\n" for name, content in files.items())
    frame = zstandard.compress(b"".join(files.values()))
    return elf(section=(b".dunena", index.encode() + b"\n" + frame + b"\0"))


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
