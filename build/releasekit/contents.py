"""What really lies in an executable, found in the archive of its folder.

The single file is made from the same folder, or from the same analysis of PyInstaller's. Every file
and every module in it belongs to a part that is known, or the release stops: what nobody can name
has no licence in THIRD_PARTY_LICENSES.txt either.
"""

import re
import runpy
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from PyInstaller.archive.readers import ArchiveReadError, CArchiveReader

from releasekit import archives
from releasekit.errors import ReleaseError
from releasekit.parts import Packages, Part, libraries
from releasekit.targets import NAME, Target

_PLAN = Path(__file__).resolve().parents[2] / "packaging" / "plan.py"

_EXTENSIONS = (".so", ".pyd")

# Of the files that belong to no package: what their names say. Only the first one that fits counts.
_FILES = (
    (re.compile(r"(.*/)?lib(ssl|crypto)[-.0-9][^/]*"), "OpenSSL"),
    (re.compile(r"(.*/)?libffi[-.0-9][^/]*"), "libffi"),
    (re.compile(r"(.*/)?(libz[-.0-9]|zlib1?\.dll)[^/]*"), "zlib"),
    (re.compile(r"(.*/)?libmpdec[-.0-9+][^/]*"), "libmpdec"),
    (re.compile(r"(.*/)?libgcc_s[-.0-9][^/]*"), "libgcc"),
    (
        re.compile(r"(vcruntime|msvcp|ucrtbase|api-ms-win-)[^/]*\.dll", re.IGNORECASE),
        "Microsoft Visual C++ runtime",
    ),
    (re.compile(r"(.*/)?libpython3[^/]*|python3\d*\.dll|Python3?"), "Python"),
    (re.compile(r"(.*/)?Python3?\.framework/.*"), "Python"),
    (re.compile(r"base_library\.zip|(.*/)?lib-dynload/[^/]+"), "Python"),
)
_OWN_FILE = re.compile(rf"{NAME}/.*|LICENSE|{NAME}(\.exe)?")

# Scripts and modules of PyInstaller's that run before the program.
_OF_PYINSTALLER = re.compile(r"pyi_|pyimod|pyiboot|_pyi_|_pyinstaller")
# What Python's own build makes, under a name that differs between systems.
_OF_PYTHON = re.compile(r"_sysconfigdata_|encodings$")


@dataclass(frozen=True, slots=True)
class Contents:
    """The modules in a program's archive of modules, by full name, and the files beside them, by
    their place in the folder of libraries."""

    modules: frozenset[str]
    files: frozenset[str]


def read(archive: Path, target: Target) -> Contents:
    """What the archive of a program's folder holds."""
    program = archives.program(archive, target)
    root = PurePosixPath(program.name).parent
    files = set()
    for member in archives.read(archive):
        place = PurePosixPath(member.name).relative_to(root)
        if stat.S_ISLNK(member.mode):
            continue
        inner = place.parts[1:] if place.parts[0] == "_internal" else place.parts
        files.add("/".join(inner))
    return Contents(frozenset(_modules(program.data, archive.name)), frozenset(files))


def find_parts(contents: Contents, packages: Packages, versions: dict[str, str]) -> list[Part]:
    """What the contents consist of, without ourselves.

    Raises ReleaseError with a line for everything that belongs to no part.
    """
    found: set[str] = set()  # names of packages
    known: set[str] = {"Python", "zlib"}  # the bootloader has a zlib in it everywhere
    strange = []
    stand_ins = set(runpy.run_path(str(_PLAN))["STAND_INS"])
    for module in sorted(contents.modules - stand_ins):
        path = module.replace(".", "/")
        owner = packages.owner(f"{path}.py", f"{path}/__init__.py")
        if owner:
            found.add(owner)
        elif not _is_known_module(module):
            strange.append(f"the module {module}")
    for file in sorted(contents.files):
        owner = packages.owner(file)
        library = _library(file)
        if owner and not _OWN_FILE.fullmatch(file):
            found.add(owner)
        elif library:
            known.add(library)
        elif not _OWN_FILE.fullmatch(file):
            strange.append(f"the file {file}")
    if strange:
        raise ReleaseError("\n".join(f"nobody knows where {one} comes from" for one in strange))
    if _has_module(contents, "_decimal"):
        known.add("libmpdec")
    compilers = {"mypy"} if _is_compiled(contents) else set()
    parts = [packages.named(name) for name in sorted(found | compilers | {"pyinstaller"})]
    return libraries(known, versions) + [part for part in parts if part.name != NAME]


def _modules(program: bytes, name: str) -> Iterator[str]:
    """The names of the modules and scripts that PyInstaller packed into a program."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "program")
        path.write_bytes(program)
        try:
            packed = CArchiveReader(str(path))
            for entry, (*_, kind) in packed.toc.items():
                if kind == "z":
                    yield from packed.open_embedded_archive(entry).toc
                elif kind in "mMs":
                    yield entry
        except ArchiveReadError as error:
            raise ReleaseError(f"{name}: its program is none of PyInstaller's ({error})") from error


def _is_known_module(module: str) -> bool:
    top = module.partition(".")[0]
    return (
        top in (NAME, "entry")
        or top in sys.stdlib_module_names
        or bool(_OF_PYINSTALLER.match(module) or _OF_PYTHON.match(module))
    )


def _library(file: str) -> str:
    """The library that a file is, by its name; empty for none that is known."""
    named = next((library for form, library in _FILES if form.fullmatch(file)), "")
    if not named and file.endswith(_EXTENSIONS) and "/" not in file:
        # On Windows the extension modules of the standard library lie beside the libraries.
        return "Python" if file.partition(".")[0] in sys.stdlib_module_names else ""
    return named


def _has_module(contents: Contents, name: str) -> bool:
    files = (PurePosixPath(file).name.partition(".")[0] for file in contents.files)
    return name in contents.modules or name in files


def _is_compiled(contents: Contents) -> bool:
    """Whether modules of ours are compiled, and so contain the support library of mypyc."""
    return any("__mypyc." in file for file in contents.files)
