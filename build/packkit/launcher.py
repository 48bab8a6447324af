"""The executable on Linux and macOS: packaging/launcher around a folder that PyInstaller made.

zstd is compiled in, from the sources that the package `zstandard` brings, which also compresses:
so both ends are of one release, and no system has to have the library.
"""

import hashlib
import os
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

from devkit.compiled import NO_COMPILER
from devkit.console import CommandError, run_quietly
from devkit.environment import ONLINE
from devkit.requirements import FOLDER, ROOT, read_lines

SYSTEMS = ("linux", "darwin")
"""Where the single file is made so. Windows cannot replace the program that a process runs, which
is how the launcher hands over: a parent would have to stay, as with PyInstaller's single file."""

SOURCES = ROOT / "packaging" / "launcher"
LIBRARY = "zstandard"
LEVEL = 22
"""The highest: a build takes some seconds more, and a start takes as long as with any other."""

_HASH_DIGITS = 16

# Distributions whose compilers come without it have a package of its own.
_NO_STATIC = (
    f"{NO_COMPILER}; does it link statically? (AlmaLinux, Fedora: dnf install glibc-static)"
)

_FLAGS = ["-O2", "-Wall", "-Wextra", "-ffunction-sections", "-fdata-sections"]
# The oldest macOS that the libraries in the executable run on.
_FLAGS_OF = {"linux": [], "darwin": ["-mmacosx-version-min=11.0"]}
# Without what nobody calls, which is all of zstd that compresses, and without names of symbols.
_LINKED = {"linux": ["-static", "-Wl,--gc-sections", "-s"], "darwin": ["-Wl,-dead_strip"]}


@dataclass(frozen=True, slots=True)
class Kit:
    """What launchers are made with.

    `python` is one that has `LIBRARY`, `zstd` the object file of the library in C, `log` the file
    for what compilers say.
    """

    python: Path
    zstd: Path
    log: Path


def prepare(python: Path, work: Path, log: Path) -> Kit:
    """Compile zstd from the sources of the pinned `LIBRARY`, as pip downloads them.

    `python` is one that has that package and setuptools; `work` is a folder for what lies in
    between. Raises CommandError.
    """
    work.mkdir(parents=True, exist_ok=True)
    (line,) = (line for line in read_lines(FOLDER / "executable.txt") if _is_library(line))
    pin = work / "launcher.txt"
    pin.write_text(line.replace(" --hash", " \\\n    --hash") + "\n", encoding="utf-8")
    # Nothing is built, but pip asks the package's own build for its name and version; what that
    # needs is there already.
    command: list[str | Path] = [python, "-m", "pip", "download", "--quiet", "--require-hashes"]
    command += ["--no-deps", "--no-build-isolation", "--no-binary", LIBRARY]
    command += ["--dest", work, "--requirement", pin]
    run_quietly(command, "downloading the sources of zstd", log, hint=ONLINE)
    (archive,) = work.glob(f"{LIBRARY}-*.tar.gz")
    unpack(archive, work)
    folder = work / archive.name.removesuffix(".tar.gz") / "zstd"
    built = folder / "zstd.o"
    # The sources hold their own path, which must be the same for every build.
    command = [*_compiler(), "-c", "zstd.c", "-o", built.name]
    run_quietly(command, "compiling zstd", log, hint=NO_COMPILER, folder=folder)
    return Kit(python, built, log)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar file, with any Python that dunena runs on."""
    with tarfile.open(archive) as packed:
        # Not as an argument, which Python 3.11 has only since 3.11.4.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(folder)


def make(kit: Kit, folder: Path, program: str, output: Path, work: Path) -> None:
    """Write to `output` an executable that runs `program` of `folder`.

    `work` is a folder for what lies in between. Raises CommandError.
    """
    work.mkdir(parents=True, exist_ok=True)
    contents = work / "contents"
    index = b"".join(_pack(folder, contents))
    payload = work / "payload"
    payload.write_bytes(index + b"\n" + _compress(kit, contents))
    version = hashlib.sha256(payload.read_bytes()).hexdigest()[:_HASH_DIGITS]
    command = [*_compiler(), f'-DVERSION="{version}"', f'-DPROGRAM="{program}"']
    command += [f'-DPAYLOAD="{payload}"', "-I", kit.zstd.parent]
    command += [SOURCES / "launcher.c", SOURCES / "payload.S", kit.zstd]
    command += [*_LINKED[sys.platform], "-o", output]
    run_quietly(command, "compiling the launcher", kit.log, hint=_NO_STATIC)


def _compiler() -> list[str | Path]:
    """The compiler with its options; CC and CFLAGS are what is usual."""
    program, more = os.environ.get("CC", "cc"), os.environ.get("CFLAGS", "")
    return [program, *_FLAGS, *_FLAGS_OF[sys.platform], *shlex.split(more)]


def _is_library(line: str) -> bool:
    return line.startswith(f"{LIBRARY}==")


def _pack(folder: Path, contents: Path) -> Iterator[bytes]:
    """Write the contents of everything in a folder to one file; yield a line for each.

    Files of one kind are neighbours, which makes the result smaller.
    """
    found = sorted(folder.rglob("*"), key=_position)
    with contents.open("wb") as file:
        for path in found:
            place = path.relative_to(folder).as_posix()
            if "\n" in place:
                raise CommandError(f"a name with a line break cannot be packed: {place!r}")
            kind, data = _read(path)
            file.write(data)
            yield f"{kind} {len(data)} {place}\n".encode()


def _position(path: Path) -> tuple[bool, str, Path]:
    """By what files are sorted: folders first, each before those in it."""
    is_folder = path.is_dir() and not path.is_symlink()
    return not is_folder, "" if is_folder else path.suffix, path


def _read(path: Path) -> tuple[str, bytes]:
    """The kind of a file, as launcher.c names it, and its contents."""
    if path.is_symlink():
        return "l", os.fsencode(path.readlink())
    if path.is_dir():
        return "d", b""
    return ("x" if os.access(path, os.X_OK) else "f"), path.read_bytes()


_COMPRESS = """
import sys, zstandard
data = sys.stdin.buffer.read()
settings = zstandard.ZstdCompressionParameters.from_level(
    int(sys.argv[1]),
    source_size=len(data),
    window_log=max(10, len(data).bit_length()),
    write_checksum=True,
)
sys.stdout.buffer.write(zstandard.ZstdCompressor(compression_params=settings).compress(data))
"""


def _compress(kit: Kit, source: Path) -> bytes:
    """A file as a frame of zstd."""
    command: list[str | Path] = [kit.python, "-c", _COMPRESS, str(LEVEL)]
    with source.open("rb") as data, kit.log.open("ab") as errors:
        done = subprocess.run(command, stdin=data, stdout=PIPE, stderr=errors, check=False)
    if done.returncode != 0:
        raise CommandError(f"compressing failed (all of its output: {kit.log})")
    return done.stdout
